//! Options and variables: a plan, or one line that says what is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proa::internals::{Environment, Plan, Stop, Task, parse, plan};

/// An environment of the test's own.
#[derive(Debug, Default)]
pub(crate) struct Table(pub(crate) BTreeMap<String, Vec<u8>>);

impl Environment for Table {
    fn get(&self, name: &str) -> Option<OsString> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned().map(OsString::from_vec)
    }
}

/// The plan of a command line, or the one line.
pub(crate) fn planned(words: &[Vec<u8>], env: &Table) -> Result<Task, String> {
    let argv = std::iter::once(b"proa".to_vec()).chain(words.iter().cloned()).map(OsString::from_vec);
    let args = parse(argv.collect(), env).map_err(|stop| match stop {
        Stop::Print(text) => format!("printed {} bytes", text.len()),
        Stop::Mistake(line) => line,
    })?;
    plan(&args, env).map_err(|mistake| mistake.0)
}

/// Words that NUL separates; one like `POD_NAME=x` is a variable.
pub(super) fn options_and_variables(data: &[u8]) {
    let (mut words, mut env) = (Vec::new(), Table::default());
    for word in data.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(word);
        let name = text.split_once('=').map(|(name, _)| name.to_owned());
        match name.filter(|name| ["PROA_", "POD_", "KUBERNETES_"].iter().any(|start| name.starts_with(start)))
        {
            Some(name) => {
                let value = word.get(name.len() + 1..).unwrap_or_default();
                env.0.insert(name, value.to_vec());
            }
            None => words.push(word.to_vec()),
        }
    }
    match planned(&words, &env) {
        Ok(Task::Wrap(plan)) => {
            let command: Vec<_> = plan.run.argv.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert!(!command.is_empty() && words.ends_with(&command), "{command:?} of {words:?}");
            for name in [&plan.identity.pod, &plan.identity.namespace].into_iter().flatten() {
                assert!(!name.contains('/') && !name.contains(".."), "{name:?}");
            }
            carried_over(&plan);
        }
        Ok(Task::Install(path)) => assert!(!path.as_os_str().is_empty()),
        Err(line) => assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?}"),
    }
}

/// What is written down for a fresh start reads back as it was. (Not
/// everything can be: a path may be no text.)
fn carried_over(plan: &Plan) {
    let Ok(written) = serde_json::to_value(plan) else { return };
    let read: Plan = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
    assert_eq!(
        format!("{:?}", (read.teardown, read.ignored)),
        format!("{:?}", (&plan.teardown, &plan.ignored))
    );
}
