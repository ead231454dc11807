//! Address patterns of OSC 1.0: `?`, `*`, `[a-z]`, `[!a-z]`, `{this,that}`; none crosses a `/`.

/// Steps after which a match is given up: a pattern made to be slow matches nothing.
const STEPS_MAX: u32 = 1024;

/// Whether `address` holds anything that makes it a pattern.
pub(crate) fn is_pattern(address: &str) -> bool {
    address.contains(['?', '*', '[', ']', '{', '}'])
}

/// Whether `pattern` means `address`; what that took is taken from `steps`, and when those are
/// gone it means nothing any more.
pub(crate) fn matches(pattern: &str, address: &str, steps: &mut u32) -> bool {
    let most = STEPS_MAX.min(*steps);
    let mut left = most;
    let hit = step(pattern.as_bytes(), address.as_bytes(), &mut left);
    *steps -= most - left;
    hit
}

fn step(pattern: &[u8], address: &[u8], steps: &mut u32) -> bool {
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    let Some((first, rest)) = pattern.split_first() else {
        return address.is_empty();
    };
    match first {
        b'*' => {
            let segment = address.iter().position(|byte| *byte == b'/').unwrap_or(address.len());
            (0..=segment).any(|taken| step(rest, &address[taken..], steps))
        }
        b'{' => choice(rest, address, steps),
        b'[' => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let hit =
                address.first().is_some_and(|byte| *byte != b'/' && class(&rest[..end], *byte));
            hit && step(&rest[end + 1..], &address[1..], steps)
        }
        b'?' => {
            address.first().is_some_and(|byte| *byte != b'/') && {
                step(rest, &address[1..], steps)
            }
        }
        plain => address.first() == Some(plain) && step(rest, &address[1..], steps),
    }
}

fn choice(rest: &[u8], address: &[u8], steps: &mut u32) -> bool {
    let Some(end) = rest.iter().position(|byte| *byte == b'}') else {
        return false;
    };
    let mut words = rest[..end].split(|byte| *byte == b',');
    words.any(|word| {
        address.strip_prefix(word).is_some_and(|left| step(&rest[end + 1..], left, steps))
    })
}

fn class(class: &[u8], byte: u8) -> bool {
    let (negated, class) = match class.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, class),
    };
    let mut hit = false;
    let mut at = 0;
    while at < class.len() {
        match class[at..] {
            [low, b'-', high, ..] => {
                hit |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                hit |= class[at] == byte;
                at += 1;
            }
        }
    }
    hit != negated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    fn matches(pattern: &str, address: &str) -> bool {
        super::matches(pattern, address, &mut { u32::MAX })
    }

    #[test]
    fn patterns_mean_what_osc_says() {
        let table = [
            ("/mod/*/cutoff", "/mod/filter/cutoff", true),
            ("/mod/*", "/mod/filter/cutoff", false),
            ("/mod/osc?/freq", "/mod/osc1/freq", true),
            ("/mod/osc?/freq", "/mod/osc/freq", false),
            ("/mod/osc[0-3]/freq", "/mod/osc2/freq", true),
            ("/mod/osc[!0-3]/freq", "/mod/osc2/freq", false),
            ("/gate/{kick,snare}", "/gate/snare", true),
            ("/gate/{kick,snare}", "/gate/hat", false),
            ("/gate/{kick", "/gate/kick", false),
            ("/gate/*n*", "/gate/snare", true),
            ("/gate/[a-", "/gate/a", false),
        ];
        for (pattern, address, expected) in table {
            assert_eq!(matches(pattern, address), expected, "{pattern} on {address}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_ends() {
        // 2^30 ways to fail, were they all tried.
        assert!(!matches(&("*a".repeat(30) + "b"), &"a".repeat(200)));
    }

    #[test]
    fn what_is_tried_is_taken_from_what_may_be_tried() {
        let mut steps = 1500;
        let mut look = || super::matches(&("*a".repeat(30) + "b"), &"a".repeat(200), &mut steps);
        assert!(!look() && !look());
        assert_eq!(steps, 0);
        assert!(!super::matches("/a", "/a", &mut steps), "nothing is tried any more");
    }

    proptest! {
        #[test]
        fn no_pattern_makes_this_panic(
            pattern in "[a-c*?\\[\\]{},!/-]{0,20}",
            address in "[a-c/]{0,20}",
        ) {
            let _ = matches(&pattern, &address);
        }
    }
}
