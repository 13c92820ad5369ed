//! The fingerprint: a hash of the texts from which a schema was installed.

use std::sync::LazyLock;

use crate::assemble::texts;

/// The placeholder of the fingerprint in the assembled texts.
pub(crate) const PLACE: &str = "@FINGERPRINT@";

/// What `async.schema_fingerprint()` returns in a database where these texts are installed: 16
/// hexadecimal digits.
///
/// A program does not lead a server whose schema has another fingerprint.
pub static FINGERPRINT: LazyLock<String> = LazyLock::new(|| format!("{:016x}", fnv_1a(texts().as_bytes())));

/// The 64-bit FNV-1a hash. It is the same in every build and on every machine, which `std` does not
/// guarantee for its hashes. <http://www.isthe.com/chongo/tech/comp/fnv/>
fn fnv_1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::{FINGERPRINT, PLACE, fnv_1a};

    #[test]
    fn hashes_as_published() {
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_server_part_tells_the_fingerprint() {
        assert!(crate::server().contains(&format!("'{}'", *FINGERPRINT)));
        assert!(!crate::all().contains(PLACE));
    }
}
