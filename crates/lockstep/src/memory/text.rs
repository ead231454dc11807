//! Short texts in shared words: a length, then the bytes, eight a word.

/// Packs `text` into `words`, cut at a character boundary where it does not fit. `[any]`
pub fn pack(text: &str, words: &mut [u64]) {
    words.fill(0);
    let room = (words.len() - 1) * 8;
    let mut length = text.len().min(room);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    words[0] = length as u64;
    for (at, byte) in text.as_bytes()[..length].iter().enumerate() {
        words[1 + at / 8] |= u64::from(*byte) << (8 * (at % 8));
    }
}

/// The text in `words`; a wild length is cut to what is there, bytes that are no text are
/// replaced. `[control]`
#[must_use]
pub fn unpack(words: &[u64]) -> String {
    let Some((&length, body)) = words.split_first() else { return String::new() };
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(body.len() * 8);
    let bytes: Vec<u8> = (0..length).map(|at| (body[at / 8] >> (8 * (at % 8))) as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    #[test]
    fn a_text_comes_back_and_a_long_one_is_cut_between_characters() {
        let mut words = [0; 3];
        pack("grüße", &mut words);
        assert_eq!(unpack(&words), "grüße");
        pack("123456789012345ß", &mut words);
        assert_eq!(unpack(&words), "123456789012345");
        assert_eq!(unpack(&[u64::MAX, 0x41]), "A\0\0\0\0\0\0\0");
    }
}
