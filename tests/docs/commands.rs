//! Every command and manifest of the README is run by something that is named here.

use std::collections::BTreeSet;

use crate::{read, root};

/// A block by its marker or kind, a command as it is written; the file of what runs it; and the test
/// in that file, or for a script the words that are in it.
const RUN_BY: &[(&str, &str, &str)] = &[
    ("cargo run --example demo", ".ci/run", "cargo run --quiet --example demo"),
    ("cargo test", ".ci/run", "step 'tests' cargo test\n"),
    ("cargo run --example assets -- DIR", ".ci/release", "run --quiet --example assets -- "),
    ("cargo static", ".ci/run", "step 'static binary' cargo static\n"),
    ("cargo test --test figures", ".ci/run", "cargo test --test figures -- "),
    (
        "file: examples/Dockerfile",
        "tests/cluster/dockerfile.sh",
        "build example.com/your-app:1 examples/Dockerfile\n",
    ),
    ("file: examples/job.yaml", "tests/cluster/examples.rs", "job"),
    ("kubectl apply -f", "tests/cluster/dockerfile.sh", "apply -f examples/job.yaml"),
    // Its log.
    ("text", "tests/cluster/examples.rs", "job"),
    // There is no skaffold in Debian: what it names is checked, not run.
    ("skaffold run", "tests/docs/tools.rs", "skaffold_builds_what_it_deploys"),
    (
        "kubectl describe pod",
        "tests/cluster/teardown.rs",
        "a_command_that_is_not_there_stops_the_sidecars_too",
    ),
    (
        "proa --no-api --ready-http-get=http://localhost:15021/healthz/ready \
         --shutdown-http-post=http://localhost:15020/quitquitquit -- mycmd",
        "tests/cli/readme.rs",
        "the_command_without_the_api_does_what_the_readme_says",
    ),
    (
        "proa --quit-file=/shared/done --no-api -- nginx -g 'daemon off;'",
        "tests/cluster/examples.rs",
        "quit_file",
    ),
    ("proa --install-to=/shared/proa", "tests/cluster/examples.rs", "quit_file"),
    ("proa -- …", "tests/cluster/mesh.rs", "the_example_completes_beside_envoy"),
    ("help", "tests/docs/readme.rs", "blocks_are_what_they_are_made_of"),
];

/// What a command of the README begins with.
const PROGRAMS: &[&str] = &["proa ", "cargo ", "kubectl ", "skaffold ", "docker ", "just ", "nix "];

/// The blocks (by the marker before them, else by their kind), the indented commands (without their
/// comments, in one line each), and the commands in backticks.
fn found(readme: &str) -> BTreeSet<String> {
    let (mut found, mut prose, mut indented) = (BTreeSet::new(), String::new(), String::new());
    let (mut marker, mut fenced) = (None, false);
    for line in readme.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            fenced = !fenced;
            if fenced {
                found.insert(marker.take().unwrap_or(kind).to_owned());
            }
        } else if fenced {
        } else if let Some(command) = line.strip_prefix("    ") {
            let command = command.split(" #").next().unwrap().trim();
            match command.strip_suffix('\\') {
                Some(first) => indented.push_str(first),
                None => {
                    found.insert(std::mem::take(&mut indented) + command);
                }
            }
        } else {
            let inner = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
            marker = inner.or(marker.filter(|_| line.is_empty()));
            prose.extend([line, "\n"]);
        }
    }
    let spans = prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
    found.extend(spans.filter(|span| PROGRAMS.iter().any(|program| span.starts_with(program))));
    found
}

#[test]
fn all_kinds_are_found() {
    let text = "    cargo x   # why\n\n    proa \\\n      -- a\n<!-- help -->\n```text\n    cargo no\n```\n\
                Say `just\nx`, `x`.\n```yaml\n```\n";
    let expected = ["cargo x", "help", "just x", "proa -- a", "yaml"].map(str::to_owned);
    assert_eq!(found(text), expected.into());
}

#[test]
fn every_command_of_the_readme_is_run_by_something() {
    let known: BTreeSet<_> = RUN_BY.iter().map(|(what, ..)| (*what).to_owned()).collect();
    assert_eq!(found(&read("README.md")), known, "left: in README.md; right: in the table of this file");
    for (what, path, by) in RUN_BY {
        assert!(root().join(path).exists(), "{what} is run by {path}, which does not exist");
        let is_rust = path.rsplit('.').next() == Some("rs");
        let text = if is_rust { format!("#[test]\nfn {by}()") } else { (*by).to_owned() };
        assert!(read(path).contains(&text), "{what} is run by {by} in {path}, which is not there");
    }
}

/// The commands that an example runs are those that the README shows.
#[test]
fn the_quit_file_is_as_in_its_example() {
    let example = read("examples/quit-file.yaml");
    let readme = read("README.md");
    let [command, quit] = ["`proa --quit-file=", "`--shutdown-file="].map(|start| {
        let rest = readme.split_once(start).unwrap_or_else(|| panic!("no {start}")).1;
        format!("{}{}", &start[1..], rest.split('`').next().unwrap())
    });
    let words = command.replace("'daemon off;'", "daemon\u{a0}off;");
    let words = words.split(' ').skip(1).map(|word| format!("\n        - {}", word.replace('\u{a0}', " ")));
    assert!(example.contains(&words.collect::<String>()), "examples/quit-file.yaml does not run {command}");
    assert!(example.contains(&format!("- {quit}\n")), "examples/quit-file.yaml has no {quit}");
    assert!(example.contains("[/proa, --install-to=/shared/proa]"));
}
