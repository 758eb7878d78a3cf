//! The data key: from the master keys that hold it, through key groups and Shamir's shares.

use super::metadata::{MasterKey, Metadata};
use crate::secret::SecretBytes;
use zeroize::Zeroizing;

/// The 32 bytes that every value of a file is encrypted with.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Takes the key's bytes; `None` where there are not 32 of them.
    pub fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.expose().try_into().ok()?)))
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What came of trying to open one master key.
#[derive(Clone)]
pub enum Unwrapped {
    /// What the master key holds: the data key, or one share of it.
    Opened(SecretBytes),
    /// No identity here belongs to this master key.
    NotMine,
    /// An identity may be the one, but the master key does not open. There is a reason for each identity.
    Broken(Vec<Broken>),
}

/// Why a master key does not open though an identity may be the one for it. The text is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// What the file holds for the key cannot be used.
    File(String),
    /// The identity cannot be used: nobody answered, a program failed.
    Identity(String),
}

impl Broken {
    /// The reason.
    pub fn why(&self) -> &str {
        match self {
            Self::File(why) | Self::Identity(why) => why,
        }
    }
}

impl From<Broken> for Unwrapped {
    fn from(broken: Broken) -> Self {
        Self::Broken(vec![broken])
    }
}

/// What an attempt may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Nothing: only identities that are at hand.
    Free,
    /// Only identities for which a person is asked, a hardware key is touched or a program is run.
    Costly,
}

/// Those who can open master keys: the identities of this machine, or a test's.
pub trait Keyring: Sync {
    /// Tries to open `key`, with this effort.
    fn unwrap(&self, key: &MasterKey, effort: Effort) -> Unwrapped;

    /// Tries to decrypt a whole age file, armored or binary.
    fn decrypt_age(&self, file: &[u8]) -> Unwrapped;
}

/// Why there is no data key.
#[derive(Debug, PartialEq, Eq)]
pub enum NoDataKey {
    /// Too few key groups opened.
    Locked {
        /// How many groups opened.
        opened: usize,
        /// How many are needed.
        needed: usize,
        /// The master keys that do not open though an identity may be the one for them, with the reason.
        broken: Vec<(String, Broken)>,
    },
    /// The master keys opened, but what they hold is not a data key of 32 bytes.
    Unusable,
}

/// Opens the file's data key.
///
/// One key group: any one of its master keys gives the data key. Several: each gives one share, and
/// `shamir_threshold` of them make the key; 0 stands for all. Master keys are tried in sops's order, and no more groups
/// are opened than are needed. Everything that is free is tried first, in all groups, so that a person is not asked for a
/// key that does not matter.
pub fn recover(metadata: &Metadata, keyring: &dyn Keyring) -> Result<DataKey, NoDataKey> {
    let groups = &metadata.key_groups;
    let needed = match (groups.len(), metadata.shamir_threshold) {
        (1, _) => 1,
        (all, 0) => all,
        (_, threshold) => threshold,
    };
    let mut opened: Vec<Option<SecretBytes>> = groups.iter().map(|_| None).collect();
    let mut broken = Vec::new();
    for effort in [Effort::Free, Effort::Costly] {
        for (group, place) in groups.iter().zip(0..) {
            let count = opened.iter().flatten().count();
            let Some(share) = opened.get_mut(place).filter(|share| share.is_none() && count < needed) else { continue };
            *share = group.in_order().find_map(|key| match keyring.unwrap(key, effort) {
                Unwrapped::Opened(share) => Some(share),
                Unwrapped::NotMine => None,
                Unwrapped::Broken(reasons) => {
                    broken.extend(reasons.into_iter().map(|why| (key.to_string(), why)));
                    None
                }
            });
        }
    }
    let shares: Vec<SecretBytes> = opened.into_iter().flatten().collect();
    if shares.len() < needed || shares.is_empty() {
        return Err(NoDataKey::Locked { opened: shares.len(), needed, broken });
    }
    let key = match (groups.len(), shares.as_slice()) {
        (1, [key]) => DataKey::from_bytes(key),
        _ => combine(&shares).and_then(|key| DataKey::from_bytes(&key)),
    };
    key.ok_or(NoDataKey::Unusable)
}

/// Combines Shamir's shares: Lagrange interpolation at zero over GF(2^8) with the polynomial 0x11b. The last byte of a
/// share is its x coordinate (HashiCorp's layout, which sops uses). `None` where the shares do not fit together.
fn combine(shares: &[SecretBytes]) -> Option<SecretBytes> {
    let points: Vec<(u8, &[u8])> =
        shares.iter().map(|share| share.expose().split_last().map(|(x, y)| (*x, y))).collect::<Option<_>>()?;
    let length = points.first()?.1.len();
    let distinct = points.iter().enumerate().all(|(i, (x, _))| *x != 0 && points.iter().skip(i + 1).all(|p| p.0 != *x));
    if length == 0 || !distinct || points.iter().any(|(_, y)| y.len() != length) {
        return None;
    }
    let mut sum = Zeroizing::new(vec![0u8; length]);
    for (xi, yi) in &points {
        let weight = points
            .iter()
            .filter(|(xj, _)| xj != xi)
            .fold(1, |weight, (xj, _)| multiply(weight, multiply(*xj, inverse(xi ^ xj))));
        sum.iter_mut().zip(*yi).for_each(|(sum, y)| *sum ^= multiply(*y, weight));
    }
    Some(SecretBytes::new(std::mem::take(&mut *sum)))
}

/// Multiplies in GF(2^8), without branches or tables that depend on the secret.
fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & 0u8.wrapping_sub(b & 1);
        let carry = 0u8.wrapping_sub(a >> 7);
        a = (a << 1) ^ (carry & 0x1b);
        b >>= 1;
    }
    product
}

/// The inverse in GF(2^8): `a^254`.
fn inverse(a: u8) -> u8 {
    (0..6).fold(multiply(a, a), |power, _| multiply(multiply(power, a), multiply(power, a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::metadata::KeyGroup;

    struct Fake(fn(&str) -> Unwrapped);
    impl Keyring for Fake {
        fn unwrap(&self, key: &MasterKey, effort: Effort) -> Unwrapped {
            match effort {
                Effort::Free => (self.0)(&key.to_string()),
                Effort::Costly => Unwrapped::NotMine,
            }
        }

        fn decrypt_age(&self, _: &[u8]) -> Unwrapped {
            Unwrapped::NotMine
        }
    }

    fn groups(names: &[&[&str]], threshold: usize) -> Metadata {
        let group = |names: &&[&str]| {
            KeyGroup(names.iter().map(|name| MasterKey::Age { recipient: (*name).into(), enc: "".into() }).collect())
        };
        Metadata { key_groups: names.iter().map(group).collect(), shamir_threshold: threshold, ..Metadata::default() }
    }

    fn share(x: u8) -> Unwrapped {
        // The line y = 0x2a + 3x for each of 32 bytes.
        let mut bytes = vec![0x2a ^ multiply(3, x); 32];
        bytes.push(x);
        Unwrapped::Opened(SecretBytes::new(bytes))
    }

    #[test]
    fn the_field_is_that_of_aes() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
    }

    #[test]
    fn one_group_needs_one_key() {
        let ring = Fake(|name| match name {
            "b" => Unwrapped::Opened(SecretBytes::new(vec![7; 32])),
            _ => Unwrapped::NotMine,
        });
        assert_eq!(recover(&groups(&[&["a", "b"]], 0), &ring).ok().map(|key| *key.expose()), Some([7; 32]));
    }

    #[test]
    fn two_of_three_groups_combine() {
        let ring = Fake(|name| match name {
            "a" => share(1),
            "c" => share(3),
            _ => Unwrapped::NotMine,
        });
        let key = recover(&groups(&[&["a"], &["b"], &["c"]], 2), &ring);
        assert_eq!(key.ok().map(|key| *key.expose()), Some([0x2a; 32]));
    }

    #[test]
    fn too_few_groups_say_how_many_and_what_is_broken() {
        let bent = || Broken::File("bent".into());
        let ring = Fake(|name| if name == "a" { share(1) } else { Broken::File("bent".into()).into() });
        let error = recover(&groups(&[&["a"], &["b"], &["c"]], 0), &ring).err();
        let broken = vec![("b".to_owned(), bent()), ("c".to_owned(), bent())];
        assert_eq!(error, Some(NoDataKey::Locked { opened: 1, needed: 3, broken }));
    }

    #[test]
    fn what_is_free_is_tried_first_in_all_groups() {
        struct Log(std::sync::Mutex<Vec<String>>);
        impl Keyring for Log {
            fn unwrap(&self, key: &MasterKey, effort: Effort) -> Unwrapped {
                self.0.lock().unwrap().push(format!("{key} {effort:?}"));
                match (key.to_string().as_str(), effort) {
                    ("b", Effort::Free) => share(2),
                    ("a", Effort::Costly) => share(1),
                    _ => Unwrapped::NotMine,
                }
            }

            fn decrypt_age(&self, _: &[u8]) -> Unwrapped {
                Unwrapped::NotMine
            }
        }
        let log = Log(Default::default());
        assert!(recover(&groups(&[&["a"], &["b"], &["c"]], 2), &log).is_ok());
        assert_eq!(*log.0.lock().unwrap(), ["a Free", "b Free", "c Free", "a Costly"]);
    }

    #[test]
    fn shares_that_do_not_fit_are_refused() {
        let ring = Fake(|_| share(1));
        assert_eq!(recover(&groups(&[&["a"], &["b"]], 2), &ring).err(), Some(NoDataKey::Unusable));
        let short = Fake(|_| Unwrapped::Opened(SecretBytes::new(vec![7; 31])));
        assert_eq!(recover(&groups(&[&["a"]], 0), &short).err(), Some(NoDataKey::Unusable));
    }
}
