//! Sound devices: what an engine could be heard on.

use crate::client::devices::{Missing, Said, ask_all, best, device_word, not_built_in};
use crate::doctor::finding::Finding;
use crate::host::device::backend::{SLEEPS, STAND_IN};

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sound {
    said: Vec<Said>,
}

impl Sound {
    /// Asks all servers, two seconds at most.
    pub(crate) fn look() -> Self {
        Self { said: ask_all() }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let check = "sound device";
        let mut found = Vec::new();
        match best(&self.said) {
            Some(device) => {
                let text = format!("`auto` takes {}", device_word(device));
                found.push(match device.remark.as_deref() {
                    Some(SLEEPS) => Finding::ok(check, format!("{text}: {SLEEPS}")),
                    Some(STAND_IN) => Finding::bad(check, format!("{text}: {STAND_IN}"))
                        .cure("# plug in or switch on a device, then: segue devices"),
                    Some(remark) => Finding::warn(check, format!("{text}: {remark}"))
                        .cure("segue devices  # and `pactl` or a mixer, to change it"),
                    None => Finding::ok(check, text),
                });
            }
            // A server that hangs is the cure's business, not one that is not there.
            None if self.said.iter().any(hangs) => {}
            None => found.push(self.judge_none(check)),
        }
        found.extend(self.said.iter().filter(|it| hangs(it)).map(|it| {
            let text = format!("the server of {} hangs: nobody answers", it.kind.as_str());
            Finding::bad(check, text).cure("pgrep -a 'jackd|pipewire|pulseaudio'  # and restart it")
        }));
        found
    }

    fn judge_none(&self, check: &'static str) -> Finding {
        let why = |it: &Said| match &it.devices {
            Err(why) => format!("{}: {why}", it.kind.as_str()),
            Ok(_) => format!("{}: it has no devices", it.kind.as_str()),
        };
        let all: Vec<String> = self.said.iter().map(why).collect();
        let text = format!("none, a timer would keep the time unheard ({})", all.join("; "));
        let finding = Finding::bad(check, text)
            .cure("sudo apt-get install pipewire pipewire-pulse wireplumber  # or jackd2");
        match not_built_in() {
            Some(missing) => finding.cure(format!("# {missing}")),
            None => finding,
        }
    }
}

fn hangs(said: &Said) -> bool {
    matches!(said.devices, Err(Missing::Hangs))
}

#[cfg(test)]
mod tests {
    use super::{Missing, SLEEPS, STAND_IN, Said, Sound};
    use crate::cli::device::Kind;
    use crate::doctor::finding::Grade;
    use crate::host::device::backend::Listed;

    fn grades(devices: Result<Vec<Listed>, Missing>) -> Vec<Grade> {
        let sound = Sound { said: vec![Said { kind: Kind::Pulse, devices }] };
        sound.judge().iter().map(|it| it.grade).collect()
    }

    fn sink(remark: Option<&str>) -> Listed {
        Listed {
            kind: Kind::Pulse,
            name: "a".to_owned(),
            description: "a".to_owned(),
            rate: None,
            channels: None,
            is_default: true,
            remark: remark.map(str::to_owned),
        }
    }

    #[test]
    fn no_device_is_bad_a_muted_one_a_warning_and_a_server_that_hangs_is_named() {
        assert_eq!(grades(Ok(vec![sink(None)])), [Grade::Ok]);
        assert_eq!(grades(Ok(vec![sink(Some("muted"))])), [Grade::Warn]);
        assert_eq!(grades(Ok(vec![sink(Some(SLEEPS))])), [Grade::Ok]);
        assert_eq!(grades(Ok(vec![sink(Some(STAND_IN))])), [Grade::Bad]);
        assert_eq!(grades(Ok(vec![])), [Grade::Bad]);
        assert_eq!(grades(Err(Missing::Hangs)), [Grade::Bad]);
    }
}
