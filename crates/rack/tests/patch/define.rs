//! Instruments that a file defines: what they sound like, and what is told where one is wrong.

use super::told;
use crate::bench::{Bench, bits};
use segue_rack::{Action, Command, Plan, PlanError, Rack, Setup};

const VOICE: &str = r#"
[define.voice]
params = { pitch = ["low.freq", "high.freq"], cutoff = "filter.cutoff", gate = "env.gate" }
out    = "amp * 0.5"
low    = { type = "osc", shape = "saw" }
high   = { type = "osc", shape = "square", freq = 330 }
filter = { type = "svf", in = "low * 0.5 + high * 0.2", cutoff = 900 }
env    = { type = "adsr", attack = 20 }
amp    = { type = "vca", in = "filter.low", gain = "env" }
"#;

#[test]
fn an_instrument_sounds_like_its_parts_written_out() {
    let used = format!(
        "segue = 1
slow = {{ type = \"osc\", freq = 3 }}
one = {{ type = \"voice\", pitch = \"220 + slow * 1st\", cutoff = \"700 + slow * 1oct\" }}
two = {{ type = \"voice\", gate = \"slow\" }}
[out]
in = \"one * 0.5 + two.filter.band * 0.1\"
left = \"two\"
{VOICE}"
    );
    let plain = "segue = 1
slow = { type = \"osc\", freq = 3 }
a = { type = \"osc\", shape = \"saw\", freq = \"220 + slow * 1st\" }
b = { type = \"osc\", shape = \"square\", freq = \"220 + slow * 1st\" }
c = { type = \"svf\", in = \"a * 0.5 + b * 0.2\", cutoff = \"700 + slow * 1oct\" }
d = { type = \"adsr\", attack = 20 }
e = { type = \"vca\", in = \"c.low\", gain = \"d\" }
f = { type = \"osc\", shape = \"saw\" }
g = { type = \"osc\", shape = \"square\", freq = 330 }
h = { type = \"svf\", in = \"f * 0.5 + g * 0.2\", cutoff = 900 }
i = { type = \"adsr\", attack = 20, gate = \"slow\" }
j = { type = \"vca\", in = \"h.low\", gain = \"i\" }
[out]
in = \"e * 0.25 + h.band * 0.1\"
left = \"j * 0.5\"
";
    let [mut one, mut other] = [Bench::new(&used), Bench::new(plain)];
    one.gate("one.env", 0.8);
    other.gate("d", 0.8);
    for block in 0..300 {
        if block == 100 {
            one.set_at(6_500, "two.filter", "cutoff", 300.0);
            other.set_at(6_500, "h", "cutoff", 300.0);
        }
        let (heard, wanted) = (bits(one.block()), bits(other.block()));
        assert_eq!(heard, wanted, "block {block}");
        assert!(block != 200 || heard.iter().any(|sample| *sample != 0));
    }
}

#[test]
fn a_plan_knows_instruments_by_their_params_and_parts() {
    let text = format!(
        "segue = 1\none = {{ type = \"voice\" }}\nout = {{ in = \"delayed(one) + one.env.level\" }}
{VOICE}"
    );
    let plan = Bench::new(&text).plan;
    let plan = Plan::from_bytes(&plan.to_bytes()).unwrap();
    let one = plan.instrument("one").unwrap();
    let name = |(module, param): &(u16, u16)| {
        let module = &plan.modules()[usize::from(*module)];
        format!("{} {}", module.id(), module.spec().params[usize::from(*param)].name)
    };
    let of = |param: &str| one.targets(param).iter().map(name).collect::<Vec<_>>();
    assert_eq!(of("pitch"), ["one.low freq", "one.high freq"]);
    assert_eq!(of("cutoff"), ["one.filter cutoff"]);
    assert_eq!(of("gate"), Vec::<String>::new());
    assert_eq!(one.params().collect::<Vec<_>>(), ["pitch", "cutoff"]);
    assert_eq!(plan.parts("one", |_| true).len(), 5);
    assert_eq!(plan.parts("one", |spec| spec.has_gate), [plan.module("one.env").unwrap()]);
    assert_eq!(plan.parts("on", |_| true), []);
}

/// Each where it stands: in the define for what is wrong there, in the line that uses it else.
#[test]
fn every_mistake_in_and_around_a_define_is_told_where_it_stands() {
    let text = r#"segue = 1
saw = { type = "osc" }
a = { type = "vox", cutof = 800, pitch = "sav" }
b = { type = "vox", cutoff = 90000 }
c = { type = "vax" }
d = { type = "mute" }
[define.vox]
params = { cutoff = "filter.cutof", pitch = ["osc.freq", "ocs.freq"], q = "filter", level = 3 }
out = "flter + 3 + filter * 2oct + delayed(filter)"
[define.vox.osc]
type = "osc"
freq = "saw * 2"
[define.vox.filter]
type = "svf"
in = "osc.aut"
[define.osc]
x = { type = "osc" }
[define.mute]
params = { cutoff = "f.cutoff" }
f = { type = "svf", cutoff = "hi" }
in = "f"
[define.loop]
x = { type = "loop" }
y = { type = "mute" }
z = { type = "out" }
[define.none]
[out]
in = "a.env + a.osc.out + a.filter.hgh + saw.out.x + b + d"
"#;
    let expected = r#"[unknown_param] p.toml:3:21: error: 'a' (vox) has no 'cutof'; did you mean 'cutoff'?
[unknown_module] p.toml:3:43: error: no module 'sav'; did you mean 'saw'?
[unknown_type] p.toml:5:14: error: no module type 'vax'; did you mean 'vox'?
[unknown_param] p.toml:8:29: error: 'filter' (svf) has no 'cutof'; did you mean 'cutoff'?
[unknown_module] p.toml:8:59: error: no part 'ocs'; did you mean 'osc'?
[wrong_type] p.toml:8:75: error: a param names a port of a part; as params = { cutoff = "filter.cutoff" }
[wrong_type] p.toml:8:93: error: a param names a port of a part; as params = { cutoff = "filter.cutoff" }
[unknown_module] p.toml:9:8: error: no module 'flter'; did you mean 'filter'?
[wrong_type] p.toml:9:16: error: 'out' is a sum of cables; as out = "amp" or out = "low * 0.5 + high"
[bad_quantity] p.toml:9:20: error: that does not fit 'out'; as out = "amp" or out = "low * 0.5 + high"
[bad_quantity] p.toml:9:36: error: that does not fit 'out'; as out = "amp" or out = "low * 0.5 + high"
[unknown_module] p.toml:12:9: error: no module 'saw'; a define knows its own parts only: let it in by one of its params
[unknown_outlet] p.toml:15:7: error: 'osc' (osc) has no outlet 'aut'; did you mean 'out'?
[bad_id] p.toml:16:9: error: no instrument can be called 'osc'; a small letter, then up to 31 small letters, digits or _; not the name of a module type
[unknown_module] p.toml:20:31: error: no module 'hi'
[wrong_type] p.toml:21:1: error: 'in' is no module; a module is written in = { type = "osc" }
[recursion] p.toml:23:14: error: 'loop' would contain itself; the parts of an instrument are modules of the catalog
[recursion] p.toml:24:14: error: 'loop' cannot contain 'mute': both are instruments; the parts of an instrument are modules of the catalog
[reserved] p.toml:25:14: error: no part of an instrument is the patch's 'out'; write out = "PART" in the define
[empty] p.toml:26:9: error: 'none' has no parts; write [define.none.PART] with a type
[unknown_outlet] p.toml:28:7: error: 'a' (vox) has no part 'env'; it has osc, filter
[unknown_outlet] p.toml:28:27: error: 'a.filter' (svf) has no outlet 'hgh'; did you mean 'high'?
[unknown_outlet] p.toml:28:42: error: 'saw' has no parts, so no 'x' in one
[unknown_outlet] p.toml:28:58: error: 'd' (mute) has no out; write out = "PART" in [define.mute]"#;
    let told = told(text);
    for (told, expected) in told.lines().zip(expected.lines()) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.lines().count(), expected.lines().count(), "{told}");
}

#[test]
fn what_shows_in_use_only_is_told_in_the_define_or_where_it_is_used() {
    let define = "[define.ring]
params = { x = \"a.in\", max = \"a.max\", time = \"a.time\" }
out = \"b\"
a = { type = \"delay\", in = \"b\" }
b = { type = \"vca\", in = \"a\" }
";
    let cycle = told(&format!("segue = 1\nr = {{ type = \"ring\" }}\n[out]\nin = \"r\"\n{define}"));
    let wanted = "[cycle] p.toml:8:29: error: a cycle: r.a -> r.b -> r.a; \
                  let one cable come a moment late: delayed(r.a)";
    assert_eq!(cycle, wanted);
    let none = "segue = 1\nr = { type = \"ring\", x = 0.5, max = 100, time = 200 }\n[out]\n";
    let bound = told(&format!("{none}{define}"));
    assert!(
        bound.starts_with("[out_of_range] p.toml:2:49: error: 'time' cannot be 200"),
        "{bound}"
    );
    let twice = format!("segue = 1\nr = {{ type = \"ring\", x = 0 }}\n[out]\n{define}");
    assert_eq!(told(&twice), "fine");
    let stranger =
        format!("segue = 1\nv = {{ type = \"voice\", pitch = \"nobody\" }}\n[out]\n{VOICE}");
    assert_eq!(told(&stranger), "[unknown_module] p.toml:2:32: error: no module 'nobody'");
}

/// Expansion is bounded before it is done.
#[test]
fn the_parts_of_all_instruments_count_against_the_modules_of_a_patch() {
    let mut text = format!("segue = 1\nout = {{ in = \"v0\" }}\n{VOICE}");
    let uses = |count: usize| {
        let uses = (0..count).map(|n| format!("v{n} = {{ type = \"voice\" }}\n"));
        text.replacen('\n', &format!("\n{}", uses.collect::<String>()), 1)
    };
    assert_eq!(told(&uses(204)), "fine");
    assert!(told(&uses(205)).starts_with("[full] p.toml:206:1: error: more than 1024 modules"));
    let parts = (0..1_100).map(|n| format!("p{n} = {{ type = \"osc\" }}\n")).collect::<String>();
    text.push_str(&format!("[define.huge]\n{parts}"));
    assert!(told(&text).starts_with("[full] p.toml:12:9: error: more than 1024 parts"));
}

#[test]
fn no_byte_of_a_plan_with_instruments_can_make_the_rack_panic() {
    let text =
        format!("segue = 1\none = {{ type = \"voice\" }}\nout = {{ in = \"one\" }}\n{VOICE}");
    let bytes = Bench::new(&text).plan.to_bytes();
    let (mut accepted, mut wild) = (0, 0);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x02, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            match Plan::from_bytes(&bytes) {
                Ok(plan) => {
                    accepted += 1;
                    let Ok(mut rack) = Rack::new(&plan, &Setup::default()) else { continue };
                    rack.render(&mut [0.0; 128], &mut |_| {});
                    for (module, param) in
                        plan.instruments().iter().flat_map(|it| it.targets("cutoff"))
                    {
                        let (module, param) = (*module, *param);
                        let value = 500.0;
                        rack.apply(&Command::now(Action::Set {
                            module,
                            param,
                            value,
                            ramp_frames: 0,
                        }));
                    }
                    assert_eq!(rack.notes().ignored, 0);
                }
                Err(PlanError::Wild { what }) if what.contains("instrument") => wild += 1,
                Err(_) => {}
            }
        }
    }
    assert!(accepted > 0 && wild > 0);
}

/// The manual's patches are what it says they are.
#[test]
fn every_patch_of_the_manual_is_one_and_sounds() {
    let manual = include_str!("../../../../docs/patches.md");
    let mut patches = 0;
    for block in manual.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if !text.starts_with("segue") {
            continue;
        }
        patches += 1;
        let mut bench = Bench::new(text);
        bench.open_all();
        let peak = crate::bench::peak(&bench.left(200));
        assert!(peak > 0.02 && peak < 0.98, "{peak} of\n{text}");
        assert_eq!(bench.rack.notes().limited, 0, "{text}");
    }
    assert!(patches >= 3);
}
