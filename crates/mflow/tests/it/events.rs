//! Momenta of event files. Oracle: events written by hand.
use crate::folder::Folder;
use mflow::data::io::read_table;

const EVENTS: &str = "<LesHouchesEvents version='3.0'>
<event>
 3 1 0.5 0 0 0
 22 1 0 0 0 0 3 4 1 6 0 0 9
 22 1 0 0 0 0 6 8 2 11 0 0 9
 -1 1 0 0 0 0 0 5 3 7 0 0 9
<rwgt><wgt id='up'> 0.75 </wgt></rwgt>
</event>
<event>
 1 1 0.5 0 0 0
 22 1 0 0 0 0 3 4 1 6 0 0 9
</event>
<event>
 2 1 -1 0 0 0
 22 1 0 0 0 0 1 0 0 1 0 0 9
 21 1 0 0 0 0 0 2 0 2 0 0 9
<rwgt><wgt id='up'> -2 </wgt></rwgt>
</event>
</LesHouchesEvents>
";

#[test]
fn momenta_and_weights_are_written_of_the_events_that_have_them() {
    let folder = Folder::new();
    folder.write("toy.lhe", EVENTS.as_bytes());
    let ended = folder.run("events toy.lhe --particles jet,22 --out out");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains("momenta.npy: [2, 8]"), "{}", ended.out);
    assert!(ended.out.contains("weights.csv: [2, 2]"), "{}", ended.out);
    assert!(ended.err.contains("1 of 3 events are left out"), "{}", ended.err);
    let momenta = read_table(&folder.path("out/momenta.npy")).expect("a table");
    let expected = [7., 0., 5., 3., 11., 6., 8., 2., 2., 0., 2., 0., 1., 1., 0., 0.];
    assert_eq!(momenta.values(), expected, "E, px, py, pz of the jet, then of the photon");
    let weights = read_table(&folder.path("out/weights.csv")).expect("a table");
    assert_eq!(weights.columns().expect("names"), ["weight", "up"]);
    assert_eq!(weights.values(), [0.5, 0.75, -1., -2.]);
}

#[test]
fn what_cannot_be_taken_is_refused() {
    let folder = Folder::new();
    folder.write("toy.lhe", EVENTS.as_bytes());
    let parts = ["toy.lhe", "the particles -11, 11 in the final state", "none in 3 events"];
    folder.fails("events toy.lhe --particles -11,11 --out out", 2, &parts);
    folder.fails("events toy.lhe --out out", 2, &["--particles"]);
    folder.fails("events toy.lhe --particles photon --out out", 2, &["`jet`", "`photon`"]);
    let parts = ["toy.lhe, line 9", "expected the weights weight, up", "found weight"];
    folder.fails("events toy.lhe --particles 22 --out out", 1, &parts);
    folder.write("cut.lhe", &EVENTS.as_bytes()[..EVENTS.len() - 30]);
    let parts = ["cut.lhe, line 17", "expected `</event>`", "found the end of the file"];
    folder.fails("events cut.lhe --particles jet,22 --out out", 1, &parts);
    folder.fails("events absent.lhe --particles 22 --out out", 1, &["absent.lhe", "No such file"]);
    assert!(!folder.path("out").exists(), "nothing is written");
}
