//! The processors: how many, how much of them, how fast they wake, and what tells the time.

use std::path::Path;

use super::{first_line, number};
use crate::doctor::finding::Finding;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Processor {
    /// Processors this process may use.
    count: usize,
    /// Processors' worth of time this group may use, if it is limited.
    quota: Option<f64>,
    /// What governs the frequency, one a kind; none where nobody does (as in a guest machine).
    governors: Vec<String>,
    /// What tells the time.
    clock: Option<String>,
    /// Runnable threads, averaged over a minute.
    load: Option<f64>,
    /// Microseconds of each second that real-time threads may use; below 0 all.
    rt_runtime_us: Option<i64>,
    rt_period_us: Option<i64>,
}

impl Processor {
    /// Looks at the machine whose files lie under `root`.
    pub(crate) fn look(root: &Path, count: usize) -> Self {
        let line = |path: &str| first_line(&root.join(path));
        let kernel = |name: &str| number(&root.join("proc/sys/kernel").join(name));
        let load = line("proc/loadavg");
        Self {
            count,
            quota: quota(root),
            governors: governors(root),
            clock: line("sys/devices/system/clocksource/clocksource0/current_clocksource"),
            load: load.and_then(|load| load.split(' ').next()?.parse().ok()),
            rt_runtime_us: kernel("sched_rt_runtime_us"),
            rt_period_us: kernel("sched_rt_period_us"),
        }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let mut found = vec![self.judge_count()];
        found.extend(self.judge_quota());
        found.extend(self.judge_load());
        found.extend(self.judge_governor());
        found.extend(self.judge_clock());
        found.extend(self.judge_rt_time());
        found
    }

    fn judge_count(&self) -> Finding {
        let check = "processors";
        match self.count {
            0 | 1 => Finding::warn(check, "1: primary and standby take turns on it")
                .cure("a machine with two or more, or `segue run --standbys 0`"),
            count => Finding::ok(check, format!("{count}")),
        }
    }

    fn judge_quota(&self) -> Option<Finding> {
        let quota = self.quota?;
        let text = format!("this group of processes may use {quota:.2} processors' time");
        let cure = "systemctl set-property --runtime UNIT CPUQuota=  # or the container's --cpus";
        if quota < 1.0 {
            return Some(Finding::bad("processor quota", text).cure(cure));
        }
        // It is used up in one go, and then all threads wait for the next tenth of a second.
        let tight = quota < self.count as f64;
        Some(match tight {
            true => Finding::warn("processor quota", text).cure(cure),
            false => Finding::ok("processor quota", text),
        })
    }

    fn judge_load(&self) -> Option<Finding> {
        let (load, count) = (self.load?, self.count.max(1));
        let text = format!("{load:.2} on {count} processors");
        Some(if load > 1.5 * count as f64 {
            Finding::warn("load", format!("{text}: threads wait for each other"))
                .cure("ps -eo pid,ni,pcpu,comm --sort=-pcpu | head")
        } else {
            Finding::ok("load", text)
        })
    }

    fn judge_governor(&self) -> Option<Finding> {
        let check = "frequency governor";
        let text = self.governors.join(", ");
        let slow = |it: &String| !matches!(it.as_str(), "performance" | "schedutil");
        Some(match self.governors.iter().any(slow) {
            _ if self.governors.is_empty() => return None,
            true => Finding::warn(check, format!("{text}: a processor takes time to become fast"))
                .cure(
                    "echo performance \
                     | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
                ),
            false => Finding::ok(check, text),
        })
    }

    fn judge_clock(&self) -> Option<Finding> {
        let clock = self.clock.as_ref()?;
        Some(match clock.as_str() {
            "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies" | "pit" => Finding::warn(
                "clock source",
                format!("{clock}: each reading of the clock asks slow hardware"),
            )
            .cure("cat /sys/devices/system/clocksource/clocksource0/available_clocksource")
            .cure("# then, if tsc is there: boot with clocksource=tsc tsc=reliable"),
            _ => Finding::ok("clock source", clock),
        })
    }

    fn judge_rt_time(&self) -> Option<Finding> {
        let (runtime, period) = (self.rt_runtime_us?, self.rt_period_us.unwrap_or(1_000_000));
        let share = format!("{runtime} of {period} us");
        let cure = "sudo sysctl -w kernel.sched_rt_runtime_us=950000";
        Some(if runtime == 0 {
            let text = format!("{share}: the kernel lets no real-time thread run");
            Finding::bad("real-time share", text).cure(cure)
        } else if runtime > 0 && runtime * 2 < period {
            let text = format!("{share}: real-time threads are held up");
            Finding::warn("real-time share", text).cure(cure)
        } else {
            Finding::ok("real-time share", if runtime < 0 { "all".to_owned() } else { share })
        })
    }
}

/// The tightest limit on the way up from this process's group.
fn quota(root: &Path) -> Option<f64> {
    let own = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut tightest: Option<f64> = None;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let mount = match controllers {
            "" => "sys/fs/cgroup",
            _ if controllers.split(',').any(|it| it == "cpu") => "sys/fs/cgroup/cpu",
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            if let Some(quota) = quota_of(&root.join(mount).join(group)) {
                tightest = Some(tightest.map_or(quota, |other| other.min(quota)));
            }
        }
    }
    tightest
}

fn quota_of(group: &Path) -> Option<f64> {
    // The second form of groups has one file, the first has two.
    let (quota, period) = match first_line(&group.join("cpu.max")) {
        Some(line) => {
            let (quota, period) = line.split_once(' ')?;
            (quota.parse().ok()?, period.parse().ok()?)
        }
        None => {
            (number(&group.join("cpu.cfs_quota_us"))?, number(&group.join("cpu.cfs_period_us"))?)
        }
    };
    let (quota, period): (i64, i64) = (quota, period);
    (quota > 0 && period > 0).then_some(quota as f64 / period as f64)
}

fn governors(root: &Path) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(root.join("sys/devices/system/cpu")) else {
        return Vec::new();
    };
    let governor = |path: &Path| first_line(&path.join("cpufreq/scaling_governor"));
    let mut found: Vec<_> = folder.flatten().filter_map(|cpu| governor(&cpu.path())).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Processor;
    use crate::doctor::finding::Grade;

    fn well() -> Processor {
        Processor {
            count: 4,
            clock: Some("tsc".to_owned()),
            load: Some(0.5),
            rt_runtime_us: Some(950_000),
            rt_period_us: Some(1_000_000),
            ..Processor::default()
        }
    }

    /// The worst of what is found under this name.
    fn grade(processor: &Processor, check: &str) -> Option<Grade> {
        let found = processor.judge();
        found.iter().filter(|it| it.check == check).map(|it| it.grade).max()
    }

    #[test]
    fn a_good_machine_is_called_good() {
        assert!(well().judge().iter().all(|finding| finding.grade == Grade::Ok));
    }

    #[test]
    fn each_lack_is_found_and_has_a_cure() {
        let lacks = [
            (Processor { count: 1, ..well() }, "processors", Grade::Warn),
            (Processor { quota: Some(0.5), ..well() }, "processor quota", Grade::Bad),
            (Processor { quota: Some(1.5), ..well() }, "processor quota", Grade::Warn),
            (Processor { load: Some(9.0), ..well() }, "load", Grade::Warn),
            (
                Processor { governors: vec!["powersave".into()], ..well() },
                "frequency governor",
                Grade::Warn,
            ),
            (Processor { clock: Some("hpet".into()), ..well() }, "clock source", Grade::Warn),
            (Processor { rt_runtime_us: Some(0), ..well() }, "real-time share", Grade::Bad),
            (Processor { rt_runtime_us: Some(90_000), ..well() }, "real-time share", Grade::Warn),
        ];
        for (processor, check, expected) in lacks {
            assert_eq!(grade(&processor, check), Some(expected), "{check}");
            let found = processor.judge();
            let lack = found.iter().find(|it| it.check == check).unwrap();
            assert!(!lack.cure.is_empty(), "{check}");
        }
    }

    #[test]
    fn the_tightest_quota_on_the_way_up_counts_in_both_forms_of_groups() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/cgroup", "4:cpu,cpuacct:/a/b\n0::/c/d\n");
        write("sys/fs/cgroup/c/d/cpu.max", "max 100000\n");
        let look = || Processor::look(root.path(), 4);
        assert_eq!(look().quota, None);
        write("sys/fs/cgroup/c/cpu.max", "150000 100000\n");
        assert_eq!(look().quota, Some(1.5));
        write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
        write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
        assert_eq!(look().quota, Some(0.5));
        write("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n");
        write("proc/loadavg", "3.50 1.00 0.50 1/200 99\n");
        let seen = look();
        assert_eq!((seen.governors, seen.load), (vec!["powersave".to_owned()], Some(3.5)));
    }
}
