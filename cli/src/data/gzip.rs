//! Reading a file that may be gzipped.

use crate::error::{Failure, Outcome, reason};
use crate::files;
use std::io::Read;
use std::path::Path;

/// The bytes of a file, inflated when it is gzipped (by its first two bytes, not by its name).
///
/// `length` tells from the first bytes of the content (at most 64) how long the content should be; not more than
/// one byte beyond that is inflated, so that a small file cannot fill the memory.
pub(super) fn read(path: &Path, length: fn(&[u8]) -> Result<usize, String>) -> Outcome<Vec<u8>> {
    let bytes = files::read(path)?;
    if !is_gzip(&bytes) {
        return Ok(bytes);
    }
    inflate(&bytes, length).map_err(|message| Failure::unusable(message).at(path.display()))
}

/// Inflates all members of a gzip file, checks their checksums.
pub(super) fn inflate(bytes: &[u8], length: fn(&[u8]) -> Result<usize, String>) -> Result<Vec<u8>, String> {
    let damaged = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the gzip data is cut short: fetch the file again".to_string(),
        _ => format!("damaged gzip data ({}): fetch the file again", reason(&error)),
    };
    let mut decoder = flate2::bufread::MultiGzDecoder::new(bytes);
    let mut content = Vec::new();
    decoder.by_ref().take(64).read_to_end(&mut content).map_err(damaged)?;
    let wanted = length(&content)?;
    if wanted >= content.len() {
        let more = (wanted - content.len()) as u64 + 1;
        decoder.take(more).read_to_end(&mut content).map_err(damaged)?;
    }
    Ok(content)
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

#[cfg(test)]
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hundred(_: &[u8]) -> Result<usize, String> {
        Ok(100)
    }

    #[test]
    fn content_comes_back() {
        let content: Vec<u8> = (0..100).collect();
        assert_eq!(inflate(&deflate(&content), hundred).unwrap(), content);
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let bomb = deflate(&vec![0; 1 << 24]);
        assert!(bomb.len() < 1 << 15);
        assert_eq!(inflate(&bomb, hundred).unwrap().len(), 101);
    }

    #[test]
    fn damage_is_told() {
        let good = deflate(&[7; 100]);
        for end in 2..good.len() {
            let message = inflate(&good[..end], hundred).unwrap_err();
            assert!(message.contains("cut short"), "{end}: {message}");
        }
        let mut bad = good.clone();
        let checksum = bad.len() - 6;
        bad[checksum] ^= 1;
        assert!(inflate(&bad, hundred).unwrap_err().starts_with("damaged gzip data"));
        let trailing = [&good[..], b"trailing"].concat();
        assert!(inflate(&trailing, hundred).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = inflate(&tail, hundred);
            let _ = inflate(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], &tail[..]].concat(), hundred);
        }
    }
}
