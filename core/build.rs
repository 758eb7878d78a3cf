//! Writes what Unicode says of letters, for `sops/go_regex`: which letters differ in case only, and what `\p{…}` names.
//!
//! It comes from the tables of `regex-syntax`. Those are full of pointers, each of which is worked out whenever the program
//! starts, and hardly ever is one of them used. What is written here is numbers and text alone.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

/// The general categories, and what else Go takes for one.
#[rustfmt::skip]
const CATEGORIES: [&str; 81] = [
    "Any", "ASCII", "Assigned", "C", "Other", "Cc", "Control", "cntrl", "Cf", "Format", "Cn", "Unassigned", "Co", "Private_Use",
    "L", "Letter", "LC", "Cased_Letter", "Ll", "Lowercase_Letter", "Lm", "Modifier_Letter", "Lo", "Other_Letter", "Lt",
    "Titlecase_Letter", "Lu", "Uppercase_Letter", "M", "Mark", "Combining_Mark", "Mc", "Spacing_Mark", "Me", "Enclosing_Mark",
    "Mn", "Nonspacing_Mark", "N", "Number", "Nd", "Decimal_Number", "digit", "Nl", "Letter_Number", "No", "Other_Number", "P",
    "Punctuation", "punct", "Pc", "Connector_Punctuation", "Pd", "Dash_Punctuation", "Pe", "Close_Punctuation", "Pf",
    "Final_Punctuation", "Pi", "Initial_Punctuation", "Po", "Other_Punctuation", "Ps", "Open_Punctuation", "S", "Symbol", "Sc",
    "Currency_Symbol", "Sk", "Modifier_Symbol", "Sm", "Math_Symbol", "So", "Other_Symbol", "Z", "Separator", "Zl",
    "Line_Separator", "Zp", "Paragraph_Separator", "Zs", "Space_Separator",
];

#[rustfmt::skip]
const SCRIPTS: [&str; 170] = [
    "Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "Bassa_Vah",
    "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid", "Canadian_Aboriginal",
    "Carian", "Caucasian_Albanian", "Chakma", "Cham", "Cherokee", "Chorasmian", "Common", "Coptic", "Cuneiform",
    "Cypriot", "Cypro_Minoan", "Cyrillic", "Deseret", "Devanagari", "Dives_Akuru", "Dogra", "Duployan",
    "Egyptian_Hieroglyphs", "Elbasan", "Elymaic", "Ethiopic", "Garay", "Georgian", "Glagolitic", "Gothic", "Grantha",
    "Greek", "Gujarati", "Gunjala_Gondi", "Gurmukhi", "Gurung_Khema", "Han", "Hangul", "Hanifi_Rohingya", "Hanunoo",
    "Hatran", "Hebrew", "Hiragana", "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi",
    "Inscriptional_Parthian", "Javanese", "Kaithi", "Kannada", "Katakana", "Kawi", "Kayah_Li", "Kharoshthi",
    "Khitan_Small_Script", "Khmer", "Khojki", "Khudawadi", "Kirat_Rai", "Lao", "Latin", "Lepcha", "Limbu",
    "Linear_A", "Linear_B", "Lisu", "Lycian", "Lydian", "Mahajani", "Makasar", "Malayalam", "Mandaic", "Manichaean",
    "Marchen", "Masaram_Gondi", "Medefaidrin", "Meetei_Mayek", "Mende_Kikakui", "Meroitic_Cursive",
    "Meroitic_Hieroglyphs", "Miao", "Modi", "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean", "Nag_Mundari",
    "Nandinagari", "New_Tai_Lue", "Newa", "Nko", "Nushu", "Nyiakeng_Puachue_Hmong", "Ogham", "Ol_Chiki", "Ol_Onal",
    "Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic", "Old_Persian", "Old_Sogdian",
    "Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya", "Osage", "Osmanya", "Pahawh_Hmong", "Palmyrene",
    "Pau_Cin_Hau", "Phags_Pa", "Phoenician", "Psalter_Pahlavi", "Rejang", "Runic", "Samaritan", "Saurashtra",
    "Sharada", "Shavian", "Siddham", "SignWriting", "Sinhala", "Sogdian", "Sora_Sompeng", "Soyombo", "Sundanese",
    "Sunuwar", "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le", "Tai_Tham", "Tai_Viet", "Takri", "Tamil",
    "Tangsa", "Tangut", "Telugu", "Thaana", "Thai", "Tibetan", "Tifinagh", "Tirhuta", "Todhri", "Toto",
    "Tulu_Tigalari", "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Warang_Citi", "Yezidi", "Yi", "Zanabazar_Square",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let mut out = folds();
    let (mut names, mut ranges) = (String::new(), String::new());
    let mut count = 0;
    let mut known: Vec<(ClassUnicode, usize)> = Vec::new();
    for name in CATEGORIES.iter().chain(&SCRIPTS) {
        let class = class(name)?;
        let begins = match known.iter().find(|(other, _)| *other == class) {
            Some((_, begins)) => *begins,
            None => {
                let begins = count;
                for range in class.ranges() {
                    write!(ranges, "({:?},{:?}),", range.start(), range.end())?;
                    count += 1;
                }
                known.push((class.clone(), begins));
                begins
            }
        };
        let name = name.replace('_', "").to_ascii_lowercase();
        write!(names, "{name} {begins} {}\\n", begins + class.ranges().len())?;
    }
    // There are no surrogates in text.
    names.push_str("cs 0 0\\nsurrogate 0 0\\n");
    writeln!(out, "static RANGES: [(char, char); {count}] = [{ranges}];")?;
    writeln!(out, "static CLASSES: &str = \"{names}\";")?;
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("unicode.rs"), out)?;
    Ok(())
}

/// What `\p{NAME}` stands for.
fn class(name: &str) -> Result<ClassUnicode, Box<dyn Error>> {
    match regex_syntax::parse(&format!("\\p{{{name}}}"))?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Ok(class),
        // A class of one.
        HirKind::Literal(text) => {
            Ok(ClassUnicode::new(std::str::from_utf8(&text.0)?.chars().map(|c| ClassUnicodeRange::new(c, c))))
        }
        _ => Err(format!("{name} is no class").into()),
    }
}

/// Each letter with each other one that differs from it in case only.
fn folds() -> String {
    // No letter beyond the second plane has a case.
    let pairs: Vec<String> = ('\0'..='\u{1FFFF}')
        .flat_map(|letter| {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(letter, letter)]);
            class.case_fold_simple();
            let letters: Vec<char> = class.iter().flat_map(|range| range.start()..=range.end()).collect();
            letters
                .into_iter()
                .filter(move |other| *other != letter)
                .map(move |other| format!("({letter:?},{other:?}),"))
        })
        .collect();
    format!("static FOLDS: [(char, char); {}] = [{}];\n", pairs.len(), pairs.concat())
}
