//! `mflow explore`: the page, and the questions that it asks. What it shows in a browser is checked by `cargo xtask browser`.
use crate::folder::Folder;
use crate::serve::{Server, numbers, rows};
use serde_json::{Value, json};

/// The data that the page was given.
fn known(page: &str) -> Value {
    let (_, after) = page.split_once("id=\"known\"").expect("data of the page");
    let text = after.split_once('>').and_then(|(_, text)| text.split_once("</script>"));
    serde_json::from_str(text.expect("a script").0).expect("JSON")
}

#[test]
fn the_page_has_rows_of_the_data_and_its_questions_are_answered() {
    let folder = Folder::fitted();
    let server = Server::start(&folder, "explore run");
    let answer = server.get("/");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let page = String::from_utf8(answer.body).expect("text");
    for part in ["<title>run, m-flow</title>", "Plotly.react", "id=\"decoded\""] {
        assert!(page.contains(part), "no {part}");
    }
    let known = known(&page);
    let points = known["points"].as_array().expect("rows of the data");
    let data = rows(&folder);
    let is_row = |point: &Value| {
        let point = numbers(point);
        data.iter().any(|row| row.iter().zip(&point).all(|(a, b)| (a - b).abs() < 1e-3))
    };
    assert!(points.len() > 100 && points.iter().all(is_row), "{} points", points.len());
    assert!(known["context"].is_null(), "of a model without one");
    let decoded = server.json("/decode", &json!({ "latent": [[0.1]] }));
    assert_eq!((decoded.status, numbers(&decoded.json()["x"]).len()), (200, 3));
}

#[test]
fn sliders_of_a_context_start_at_its_mean() {
    let folder = Folder::conditional();
    let server = Server::start(&folder, "explore run");
    let known = known(&String::from_utf8(server.get("/").body).expect("text"));
    let context = |i: u32| f64::from(i % 7) / 7.;
    let mean = (0..300).map(context).sum::<f64>() / 300.;
    assert!((numbers(&known["context"])[0] - mean).abs() < 0.05, "{known}");
    assert!(numbers(&known["spread"])[0] > 0.1, "{known}");
}

/// The name of a run is text, also where it is HTML.
#[test]
fn a_model_file_alone_is_explored_and_its_name_is_text() {
    let folder = Folder::fitted();
    folder.write("<b>.safetensors", &folder.read("run/model.safetensors"));
    let server = Server::start(&folder, "explore <b>.safetensors");
    let page = String::from_utf8(server.get("/").body).expect("text");
    assert!(page.contains("&lt;b&gt;.safetensors") && !page.contains("<b>.safetensors"));
    assert_eq!(known(&page)["points"], json!([]), "no rows of data are known");
}

#[test]
fn what_cannot_be_explored_is_said() {
    let folder = Folder::fitted();
    folder.fails("explore nowhere", 1, &["nowhere"]);
    folder.fails("explore run --address 1", 2, &["--address"]);
    // The service for programs has no page.
    assert_eq!(Server::start(&folder, "serve run").get("/").status, 404);
}
