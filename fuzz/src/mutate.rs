//! Makes inputs out of others.

/// How long an input may grow. Larger ones have tests of their own.
pub const LONGEST: usize = 1 << 16;

/// How many inputs are kept besides the fixtures.
const KEPT: usize = 2000;

/// What means something to one of the readers.
const TOKENS: [&str; 96] = [
    "ENC[AES256_GCM,data:",
    ",iv:",
    ",tag:",
    ",type:str]",
    ",type:int]",
    ",type:comment]",
    "sops:",
    "sops_",
    "\"sops\":",
    "[sops]\n",
    "mac",
    "lastmodified",
    "version",
    "age__list_0__map_enc",
    "__list_",
    "__map_",
    "key_groups",
    "shamir_threshold",
    "unencrypted_suffix",
    "encrypted_regex",
    "(?i)",
    "(a*)*",
    "[[:alpha:]]",
    "\\pL{1000}",
    "<<: *a",
    "&a ",
    "*a",
    "- ",
    "# ",
    "#",
    "\n---\n",
    "\n...\n",
    "%YAML 1.2\n",
    "%TAG ! !\n",
    "? ",
    ": ",
    ":",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\t",
    " ",
    "  ",
    "    ",
    "\n",
    "\r\n",
    "\r",
    "\"",
    "'",
    "`",
    "\"\"\"",
    "\\",
    "\\n",
    "\\u2028",
    "\\ud800",
    "|\n",
    ">-\n",
    "|+9\n",
    "!!binary ",
    "!!int ",
    "!!timestamp ",
    "!<x>",
    "~",
    "null",
    "true",
    "True",
    "0x",
    "0b",
    "1e999",
    "-0",
    ".nan",
    "+Inf",
    "9223372036854775808",
    "2020-01-02T03:04:05Z",
    "2020-01-02",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{0}",
    "é",
    "😀",
    "=",
    ";",
    "[a]\n",
    "a = b\n",
    "secrets:",
    "\"secrets\": [",
    "sopsFile",
    "templates",
    "%r",
    "../",
    "/",
    "AGE-SECRET-KEY-1",
    "-----BEGIN",
];

/// A source of inputs.
pub struct Mutator {
    random: u64,
    corpus: Vec<Vec<u8>>,
    fixtures: usize,
}

impl Mutator {
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, fixtures: corpus.len(), corpus }
    }

    /// Another input: one of the corpus, changed in a few places.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick().clone();
        for _ in 0..1 + self.below(6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    /// Adds an input to build on, now and then.
    pub fn keep(&mut self, mut input: Vec<u8>) {
        if self.below(50) > 0 {
            return;
        }
        input.shrink_to_fit();
        if self.corpus.len() < self.fixtures + KEPT {
            self.corpus.push(input);
        } else {
            let at = self.fixtures + self.below(KEPT);
            self.corpus[at] = input;
        }
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let length = match self.below(4) {
            0 => self.below(input.len() + 1),
            _ => self.below(16),
        };
        let part = at..(at + length).min(input.len());
        match self.below(12) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.below(256) as u8,
            2 => drop(input.drain(part)),
            3 => {
                let copy = input[part].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            4 => {
                // A part many times over: depth and length.
                let copy = input[part].to_vec();
                let times = 1 << self.below(9);
                let most = LONGEST / copy.len().max(1);
                drop(input.splice(at..at, copy.repeat(times.min(most))));
            }
            5 => {
                let other = self.pick().clone();
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1);
                drop(input.splice(part, other[from..to].iter().copied()));
            }
            6 => {
                let token = TOKENS[self.below(TOKENS.len())].repeat(1 << self.below(11));
                drop(input.splice(at..at, token.bytes().take(LONGEST)));
            }
            7 => self.swap_lines(input),
            _ => {
                let token = TOKENS[self.below(TOKENS.len())];
                let until = if self.below(2) == 0 { at } else { (at + token.len()).min(input.len()) };
                drop(input.splice(at..until, token.bytes()));
            }
        }
        input.truncate(LONGEST);
    }

    fn swap_lines(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if lines.is_empty() {
            return;
        }
        let (one, other) = (self.below(lines.len()), self.below(lines.len()));
        match self.below(3) {
            0 => lines.swap(one, other),
            1 => lines[one] = lines[other].clone(),
            _ => lines[one].splice(0..0, *b"  ").for_each(drop),
        }
        *input = lines.concat();
    }

    fn pick(&mut self) -> &Vec<u8> {
        let at = self.below(self.corpus.len());
        &self.corpus[at]
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % end.max(1)
    }
}
