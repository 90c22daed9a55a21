//! Les Houches event files. Oracle: events written by hand, as the standard (hep-ph/0609017, 1405.1067) has them.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use mflow_data::Result;
use mflow_data::io::{LheEvent, LheReader, Species};
use proptest::prelude::*;

/// Two events, with what files have around them.
const FILE: &str = r#"<LesHouchesEvents version="3.0">
<!-- a comment, with
<event> that is none -->
<header>
  free text: 1 < 2, <event>
  <initrwgt>
    <weightgroup name='scale'>
      <weight id='1001'> muR=1 </weight>
      <weight id="1002" other='x'> muR=2 </weight>
    </weightgroup>
  </initrwgt>
</header>
<init>
  2212 2212 6.5e3 6.5e3 0 0 247000 247000 -4 1
  1.0 0.1 1.0 1
</init>
<event npLO="1">
 5  1 +1.25e-03 9.1e+01 7.5e-03 1.2D-01
 21 -1 0 0 501 502 0.0 0.0 50.0 50.0 0.0 0.0 9.0
 2 -1 0 0 502 0 -0.0 -0.0 -60.0 60.0 0.0 0.0 -1.0
 # a remark
 22 1 1 2 0 0 3.0 4.0 1.0 5.5 0.0 0.0 1.0
 22 1 1 2 0 0 -6.0 8.0 2.0 10.5 0.0 1.5 1.0
 -4 1 1 2 0 503 0.0 -12.0 3.0 12.5 0.25 0.0 1.0
<mgrwt><rscale> 2 0.91E+02</rscale></mgrwt>
<rwgt>
  <wgt id='1001'> 1.5e-3 </wgt><wgt id="1002"> -2.5e-3 </wgt>
</rwgt>
</event>
<unknown> text </unknown>
<event>
 1 2 -1.0 0 0 0
 1 1 0 0 0 0 1 1 1 2 0 0 9
<weights> 0.5
 0.25 </weights>
</event>
</LesHouchesEvents>
what stands behind is not read <event>
"#;

fn read(text: &[u8]) -> Vec<Result<LheEvent>> {
    LheReader::new(text, Path::new("toy.lhe")).collect()
}

fn whole(text: &str) -> Vec<LheEvent> {
    read(text.as_bytes()).into_iter().map(|event| event.unwrap()).collect()
}

/// The error that ends a text.
fn error(text: &str) -> String {
    read(text.as_bytes()).pop().unwrap().unwrap_err().to_string()
}

#[test]
fn events_are_as_they_were_written() {
    let events = whole(FILE);
    assert_eq!(events.len(), 2);
    let first = &events[0];
    assert_eq!((first.line, first.process, first.weight), (17, 1, 1.25e-3));
    assert_eq!((first.scale, first.alpha_qed, first.alpha_qcd), (91., 7.5e-3, 0.12));
    let ids: Vec<i64> = first.particles.iter().map(|p| p.pdg_id).collect();
    assert_eq!(ids, [21, 2, 22, 22, -4]);
    let photon = &first.particles[3];
    assert_eq!((photon.status, photon.mothers, photon.colours), (1, [1, 2], [0, 0]));
    assert_eq!(photon.momentum, [10.5, -6., 8., 2.], "E, px, py, pz");
    assert_eq!((photon.mass, photon.lifetime, photon.spin), (0., 1.5, 1.));
    assert_eq!(photon.transverse_momentum(), 10.);
    assert_eq!(first.particles[4].colours, [0, 503]);
    let named = |pairs: [(&str, f64); 2]| pairs.map(|(name, w)| (name.to_owned(), w)).to_vec();
    assert_eq!(first.weights, named([("1001", 1.5e-3), ("1002", -2.5e-3)]));
    let second = &events[1];
    assert_eq!((second.process, second.weight, second.particles.len()), (2, -1., 1));
    assert_eq!(second.weights, named([("1001", 0.5), ("1002", 0.25)]), "by the header's ids");

    // Ids of another number of weights say nothing of these.
    let events = whole(&FILE.replace("<weights> 0.5", "<weights> 7 0.5"));
    let names: Vec<&str> = events[1].weights.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2"]);
}

#[test]
fn the_end_of_lines_and_the_version_do_not_matter() {
    let without_lines = |mut event: LheEvent| {
        event.line = 0;
        event
    };
    let expected = whole(FILE);
    assert_eq!(whole(&FILE.replace('\n', "\r\n")), expected, "windows");
    assert_eq!(whole(&format!("\u{feff}{FILE}")), expected, "byte order mark");
    let events = whole(&format!(
        "<?xml version='1.0'?>\n{}",
        FILE.replace("version=\"3.0\"", "version=\"1.0\"")
    ));
    let (events, expected): (Vec<_>, Vec<_>) = (
        events.into_iter().map(without_lines).collect(),
        expected.into_iter().map(without_lines).collect(),
    );
    assert_eq!(events, expected, "a declaration first");
    // Names in other encodings do not end a reading.
    let latin = FILE.replace("a comment", "Ren?e");
    let latin: Vec<u8> = latin.bytes().map(|b| if b == b'?' { 0xe9 } else { b }).collect();
    assert!(read(&latin).iter().all(Result::is_ok));
    assert_eq!(whole("<LesHouchesEvents>\n</LesHouchesEvents>").len(), 0, "no events");
}

#[test]
fn files_may_be_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let expected = whole(FILE);
    let plain = folder.path().join("toy.lhe");
    std::fs::write(&plain, FILE).unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(FILE.as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    let packed = folder.path().join("toy.lhe.gz");
    std::fs::write(&packed, &bytes).unwrap();
    // Some tools write a file in several parts.
    let (head, tail) = FILE.split_at(700);
    let parts = [head, tail].map(|part| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part.as_bytes()).unwrap();
        encoder.finish().unwrap()
    });
    let members = folder.path().join("members.lhe");
    std::fs::write(&members, parts.concat()).unwrap();
    for path in [&plain, &packed, &members] {
        let events: Vec<LheEvent> =
            LheReader::open(path).unwrap().map(|event| event.unwrap()).collect();
        assert_eq!(events, expected, "{}", path.display());
    }
    for len in 0..bytes.len() {
        let cut = folder.path().join("cut.lhe.gz");
        std::fs::write(&cut, &bytes[..len]).unwrap();
        let events: Vec<Result<LheEvent>> = LheReader::open(&cut).unwrap().collect();
        let message = events.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(message.contains("cut.lhe.gz"), "{len} bytes: {message}");
    }
    let absent = LheReader::open(&folder.path().join("absent.lhe")).unwrap_err().to_string();
    assert!(absent.contains("cannot open") && absent.contains("absent.lhe"), "{absent}");
}

#[test]
fn every_truncation_is_an_error_behind_the_events_that_are_whole() {
    let expected = whole(FILE);
    const END: &str = "</LesHouchesEvents";
    let end = FILE.find(END).unwrap() + END.len();
    for len in 0..FILE.len() {
        let events = read(&FILE.as_bytes()[..len]);
        let (whole, rest): (Vec<_>, Vec<_>) = events.into_iter().partition(Result::is_ok);
        assert_eq!(rest.len(), usize::from(len < end), "{len} bytes: one error, at the end");
        for (found, expected) in whole.into_iter().zip(&expected) {
            assert_eq!(&found.unwrap(), expected, "{len} bytes");
        }
    }
}

#[test]
fn what_is_malformed_is_named_by_its_line() {
    for (good, bad, parts) in [
        (" 5  1 +1.25e-03", " 5  1 nan", ["line 18", "finite number for XWGTUP", "found `nan`"]),
        (" 5  1 +1.25e-03", " 5  1 1e999", ["line 18", "XWGTUP", "found `1e999`"]),
        (" 5  1 +1.25e-03", " 5.5  1 1", ["line 18", "whole number in range for NUP", "`5.5`"]),
        (" 5  1 +1.25e-03", " -1  1 1", ["line 18", "NUP", "`-1`"]),
        (" 5  1 +1.25e-03", " 5  1", ["line 18", "the 6 numbers NUP", "found 5 in"]),
        (" 5  1 +1.25e-03", " 4  1 1", ["line 24", "4 particles", "line 18, found a further one"]),
        (" 5  1 +1.25e-03", " 6  1 1", ["line 25", "particle 6 of 6", "found `<mgrwt>"]),
        ("12.5 0.25 0.0 1.0", "12.5 0.25", ["line 24", "the 13 numbers IDUP", "found 11 in"]),
        ("12.5 0.25 0.0 1.0", "12.5 m 0.0 1.0", ["line 24", "number for PUP(5)", "found `m`"]),
        (" 22 1 1 2 0 0 3.0", " 22 1 1 6 0 0 3.0", ["line 22", "MOTHUP(2)", "found 6"]),
        (" 22 1 1 2 0 0 3.0", " 22 1 -1 2 0 0 3.0", ["line 22", "MOTHUP(1)", "`-1`"]),
        ("<wgt id='1001'>", "<wgt di='1001'>", ["line 27", "an id", "found `wgt di="]),
        ("1.5e-3 </wgt>", "inf </wgt>", ["line 27", "number for a weight", "found `inf`"]),
        ("</wgt>\n", "\n", ["line 27", "`</wgt>` behind `<wgt>`", "id=\"1002\""]),
        ("</rwgt>", "", ["line 26", "`</rwgt>` behind `<rwgt>`", "found `rwgt>`"]),
        (" 0.25 </weights>", " x </weights>", ["line 34", "number for a weight", "found `x`"]),
        (
            "</event>\n<unknown>",
            "<unknown>",
            ["line 30", "`</event>` of the event in line 17", "`<event>`"],
        ),
        ("<event npLO=\"1\">", "</event>", ["line 17", "`<event>` before its end", "`</event>`"]),
        (
            "<LesHouchesEvents version",
            "<events version",
            ["line 1", "<LesHouchesEvents>", "`<events"],
        ),
        ("-->", "", ["line 38", "`-->` of the comment in line 2", "end of the file"]),
        ("</header>", "", ["line 38", "`</header>` of the block in line 4", "end of the file"]),
        ("</LesHouchesEvents>", "", ["line 38", "`</event>` of the event in line 38", "end of"]),
    ] {
        assert!(FILE.contains(good), "{good}");
        let message = error(&FILE.replacen(good, bad, 1));
        for part in parts.into_iter().chain(["toy.lhe"]) {
            assert!(message.contains(part), "{bad:?}: {message:?} lacks {part:?}");
        }
    }
    let (cut, _) = FILE.split_once("</LesHouchesEvents>").unwrap();
    assert!(
        error(cut).contains("line 36: expected `</LesHouchesEvents>`, found the end of the file")
    );
    assert!(error("").contains("`<LesHouchesEvents>`, found the end of the file"));
    assert!(error("x,y\n1,2\n").contains("line 2: expected `<LesHouchesEvents>`"));
    let mut long = FILE.replace("free text", &"long ".repeat(4_000_000));
    assert!(error(&long).contains("line 5: expected a line of less than"), "{}", error(&long));
    long = FILE.replace(" # a remark", &"# a remark\n".repeat(2_000_000));
    assert!(error(&long).contains("found more text than an event has"), "{}", error(&long));
    // Nothing comes behind an error.
    let mut reader = LheReader::new(&b"<event>"[..], Path::new("toy.lhe"));
    assert!(reader.next().unwrap().is_err() && reader.next().is_none());
}

#[test]
fn momenta_are_those_of_the_hardest_particles_of_a_kind() {
    let event = &whole(FILE)[0];
    let momenta = |names: &str| {
        let wanted: Vec<Species> = names.split(',').map(|name| name.parse().unwrap()).collect();
        event.momenta(&wanted)
    };
    let (soft, hard, charm) = ([5.5, 3., 4., 1.], [10.5, -6., 8., 2.], [12.5, 0., -12., 3.]);
    assert_eq!(momenta("22,22,jet"), Some(vec![hard, soft, charm]));
    assert_eq!(momenta("jet,22"), Some(vec![charm, hard]), "in the order asked for");
    assert_eq!(momenta("22, -4"), Some(vec![hard, charm]));
    assert_eq!(momenta("jet,-4"), None, "there is one jet, and -4 is it");
    assert_eq!(momenta("22,22,22"), None, "too few");
    assert_eq!(momenta("4"), None, "an antiparticle is another one");
    assert_eq!(momenta("21"), None, "incoming");
    let with = |id: &str| FILE.replace("\n -4 1 1", &format!("\n {id} 1 1"));
    for (id, is_jet) in [("5", true), ("21", true), ("6", false), ("-6", false), ("0", false)] {
        assert_eq!(whole(&with(id))[0].momenta(&[Species::Jet]).is_some(), is_jet, "{id}");
    }
    let error = "photon".parse::<Species>().unwrap_err();
    assert!(error.contains("`jet`") && error.contains("`photon`"), "{error}");
}

/// Pieces from which garbage is made that gets far.
const PIECES: [&str; 22] = [
    "<LesHouchesEvents>",
    "</LesHouchesEvents>",
    "<event>",
    "</event>",
    "<header>",
    "</header>",
    "<init",
    "<!--",
    "-->",
    "<rwgt>",
    "</rwgt>",
    "<wgt id='1'>",
    "</wgt>",
    "<weights>",
    "\n",
    " 1 1 1 1 1 1\n",
    " 1 1 0 0 0 0 1 1 1 1 1 1 1\n",
    " 0 1 1 1 1 1\n",
    "=",
    "'",
    "\u{e9}",
    "<",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]
    #[test]
    fn garbage_ends_in_an_error_or_events(pieces in prop::collection::vec(0..PIECES.len(), 0..40), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text: String = pieces.iter().map(|&i| PIECES[i]).collect();
        for text in [text.as_bytes(), &bytes, &[b"<LesHouchesEvents>", text.as_bytes(), &bytes].concat()] {
            let events = read(text);
            let errors = events.iter().filter(|event| event.is_err()).count();
            prop_assert!(errors <= 1);
            prop_assert!(errors == 0 || events.last().is_some_and(Result::is_err));
        }
    }
}
