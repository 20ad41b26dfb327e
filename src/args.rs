//! The command line as it was typed: names, help texts and shapes, nothing
//! else. [`crate::plan`] checks the values and says what they mean.
//!
//! Values stay unread here (`OsString`), so that every malformed one gets the
//! same one-line error, wherever it came from.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Parser, ValueHint};

use crate::env::{Environment, OPTION_PREFIX};
use crate::exit::codes_in_short;

/// How the variables work, for the end of `--help` and the man page.
pub const VARIABLES_IN_SHORT: &str = "An option beats its variable. A variable of a repeatable option holds a \
list separated by spaces or newlines. RUST_LOG sets the verbosity (info, proa=debug, off).";

/// The entrypoint of the main container of a Pod that must end: waits until
/// the sidecars are ready, runs COMMAND as a good PID 1, then tells the
/// sidecars to stop and exits with COMMAND's exit code.
#[derive(Parser, Debug, Default)]
#[command(
    name = "proa",
    version = crate::VERSION,
    max_term_width = 100,
    override_usage = "proa [OPTIONS] [--] COMMAND [ARG]...",
    after_help = format!("{VARIABLES_IN_SHORT}\n\n{}", codes_in_short())
)]
pub struct Args {
    /// GET this URL at teardown (repeatable)
    #[arg(short = 'g', long, value_name = "URL", help_heading = "Teardown", value_hint = ValueHint::Url)]
    pub shutdown_http_get: Vec<OsString>,

    /// POST to this URL at teardown (repeatable)
    #[arg(short = 'p', long, value_name = "URL", help_heading = "Teardown", value_hint = ValueHint::Url)]
    pub shutdown_http_post: Vec<OsString>,

    /// Create this empty file at teardown (repeatable)
    #[arg(long, value_name = "PATH", help_heading = "Teardown", value_hint = ValueHint::FilePath)]
    pub shutdown_file: Vec<OsString>,

    /// Signal every process whose executable's file name is NAME, at teardown
    /// (repeatable; needs shareProcessNamespace) [default SIGNAL: TERM]
    #[arg(short = 'k', long, value_name = "NAME[:SIGNAL]", help_heading = "Teardown")]
    pub kill: Vec<OsString>,

    /// Send SIGTERM to every other visible process but PID 1, at teardown
    #[arg(short = 'K', long, help_heading = "Teardown", action = ArgAction::SetTrue)]
    pub kill_all: bool,

    /// Send the stop request that a known sidecar documents: auto or off [default: auto]
    #[arg(long, value_name = "auto|off", help_heading = "Teardown")]
    pub sidecars: Option<OsString>,

    /// When to stop the sidecars. auto: not when the kubelet will restart our
    /// own container beside them; always [default: auto]
    #[arg(long, value_name = "auto|always", help_heading = "Teardown")]
    pub stop_sidecars: Option<OsString>,

    /// Longest time for the whole teardown [default: the Pod's
    /// terminationGracePeriodSeconds, else 30s]
    #[arg(long, value_name = "DURATION", help_heading = "Teardown")]
    pub shutdown_timeout: Option<OsString>,

    /// Longest time for one attempt of a stop request [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "Teardown")]
    pub http_timeout: Option<OsString>,

    /// Wait until this URL answers 2xx (repeatable)
    #[arg(long, value_name = "URL", help_heading = "Gate", value_hint = ValueHint::Url)]
    pub ready_http_get: Vec<OsString>,

    /// Wait until this address accepts a connection (repeatable)
    #[arg(long, value_name = "HOST:PORT", help_heading = "Gate")]
    pub ready_tcp: Vec<OsString>,

    /// Wait until this file exists and is not empty (repeatable)
    #[arg(long, value_name = "PATH", help_heading = "Gate", value_hint = ValueHint::FilePath)]
    pub ready_file: Vec<OsString>,

    /// Run the sidecars' own httpGet and tcpSocket readiness probes from here,
    /// besides watching the API: auto or off [default: auto]
    #[arg(long, value_name = "auto|off", help_heading = "Gate")]
    pub probe_sidecars: Option<OsString>,

    /// Neither wait for this container to be ready nor to exit (repeatable)
    #[arg(long, value_name = "NAME", help_heading = "Gate")]
    pub ignore_container: Vec<OsString>,

    /// Longest time to wait for the sidecars; 0 waits for ever [default: 10m]
    #[arg(long, value_name = "DURATION", help_heading = "Gate")]
    pub startup_timeout: Option<OsString>,

    /// Never talk to the Kubernetes API: readiness is the --ready-* options
    /// alone, and nothing waits for the sidecars' exit
    #[arg(long, help_heading = "Identity and API", action = ArgAction::SetTrue)]
    pub no_api: bool,

    /// Name of our Pod [default: detected]
    #[arg(long, value_name = "NAME", help_heading = "Identity and API")]
    pub pod: Option<OsString>,

    /// Namespace of our Pod [default: detected]
    #[arg(long, value_name = "NAMESPACE", help_heading = "Identity and API")]
    pub namespace: Option<OsString>,

    /// Name of our container [default: detected]
    #[arg(long, value_name = "NAME", help_heading = "Identity and API")]
    pub container: Option<OsString>,

    /// Where token, namespace and ca.crt are mounted
    /// [default: /var/run/secrets/kubernetes.io/serviceaccount]
    #[arg(long, value_name = "PATH", help_heading = "Identity and API", value_hint = ValueHint::DirPath)]
    pub service_account_dir: Option<OsString>,

    /// Forward signals to COMMAND's process group instead of COMMAND alone
    #[arg(long, help_heading = "Run", action = ArgAction::SetTrue)]
    pub signal_group: bool,

    /// For a sidecar: run COMMAND until PATH exists, then end it (SIGTERM,
    /// SIGKILL after --shutdown-timeout) and exit 0
    #[arg(long, value_name = "PATH", help_heading = "Run", value_hint = ValueHint::FilePath)]
    pub quit_file: Option<OsString>,

    /// How log lines on stderr look: text or json [default: text]
    #[arg(long, value_name = "text|json", help_heading = "Other")]
    pub log_format: Option<OsString>,

    /// Copy this executable to PATH (mode 0555) and exit
    #[arg(long, value_name = "PATH", help_heading = "Other", value_hint = ValueHint::FilePath)]
    pub install_to: Option<OsString>,

    /// The command to run, looked up in PATH, and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Why there is nothing to plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `--help` or `--version`: this text is for stdout.
    Print(String),
    /// One line that says what is wrong.
    Mistake(String),
}

/// Reads the command line, and the variable of each option that it leaves out.
///
/// # Errors
/// [`Stop`] where the program ends here.
pub fn parse(argv: Vec<OsString>, env: &impl Environment) -> Result<Args, Stop> {
    let mut matches = command().try_get_matches_from(argv.clone()).map_err(|error| stop(&error))?;
    let variables = from_variables(&matches, env)?;
    if !variables.is_empty() {
        let mut argv = argv.into_iter();
        let program = argv.next();
        let whole = program.into_iter().chain(variables).chain(argv);
        matches = command().try_get_matches_from(whole).map_err(|error| stop(&error))?;
    }
    Args::from_arg_matches(&matches).map_err(|error| stop(&error))
}

/// The clap definition, each option's help with the name of its variable.
pub fn command() -> Command {
    Args::command().mut_args(|argument| match variable(&argument) {
        Some(variable) => {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            argument.help(format!("{help} [env: {variable}]"))
        }
        None => argument,
    })
}

/// The environment variable of an option: `PROA_` and its long name.
pub fn variable(argument: &Arg) -> Option<String> {
    let long = argument.get_long()?;
    Some(format!("{OPTION_PREFIX}{}", long.to_ascii_uppercase().replace('-', "_")))
}

/// What the variables say, as options.
fn from_variables(matches: &ArgMatches, env: &impl Environment) -> Result<Vec<OsString>, Stop> {
    let mut options = Vec::new();
    for argument in Args::command().get_arguments() {
        let typed = matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine);
        let (Some(long), Some(name)) = (argument.get_long(), variable(argument)) else { continue };
        let Some(value) = env.get(&name).filter(|_| !typed) else { continue };
        let option = |value: &[u8]| OsString::from_vec([b"--", long.as_bytes(), b"=", value].concat());
        match argument.get_action() {
            ArgAction::Append => {
                let words = value.as_bytes().split(u8::is_ascii_whitespace);
                options.extend(words.filter(|word| !word.is_empty()).map(option));
            }
            ArgAction::SetTrue => {
                if truth(&name, &value.to_string_lossy())? {
                    options.push(OsString::from(format!("--{long}")));
                }
            }
            _ => options.push(option(value.as_bytes())),
        }
    }
    Ok(options)
}

fn truth(name: &str, value: &str) -> Result<bool, Stop> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "y" | "t" => Ok(true),
        "0" | "false" | "no" | "off" | "n" | "f" => Ok(false),
        _ => Err(Stop::Mistake(format!("{name}: {value:?} is not valid: expected true or false"))),
    }
}

fn stop(error: &clap::Error) -> Stop {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Print(text),
        _ => {
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            // It quotes what was typed, which may be anything.
            let line = line.replace(char::is_control, "\u{fffd}");
            Stop::Mistake(format!("{line}; see proa --help"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argv: &[&str], env: &impl Environment) -> Result<Args, Stop> {
        parse(std::iter::once(&"proa").chain(argv).map(OsString::from).collect(), env)
    }

    #[test]
    fn options_end_where_the_command_begins() {
        for argv in [
            &["--kill-all", "echo", "-n", "--pod", "x", "--"][..],
            &["--kill-all", "--", "echo", "-n", "--pod", "x", "--"],
        ] {
            let args = parsed(argv, &[]).unwrap();
            assert_eq!(args.command, ["echo", "-n", "--pod", "x", "--"]);
            assert!(args.kill_all && args.pod.is_none());
        }
        assert_eq!(parsed(&["--", "--odd", "-x"], &[]).unwrap().command, ["--odd", "-x"]);
        assert!(matches!(parsed(&["--odd", "x"], &[]), Err(Stop::Mistake(line)) if line.contains("--odd")));
    }

    #[test]
    fn a_flag_beats_its_variable() {
        let env = [
            ("PROA_SHUTDOWN_HTTP_POST", "http://a/ \n http://b/"),
            ("PROA_POD", "from-variable"),
            ("PROA_KILL_ALL", "true"),
            ("PROA_NO_API", "0"),
        ];
        let args = parsed(&["x"], &env).unwrap();
        assert_eq!(args.shutdown_http_post, ["http://a/", "http://b/"]);
        assert!(args.kill_all && !args.no_api);
        let args = parsed(&["-p", "http://c/", "--pod=typed", "x"], &env).unwrap();
        assert_eq!(args.shutdown_http_post, ["http://c/"]);
        assert_eq!(args.pod.unwrap(), "typed");
        assert!(matches!(parsed(&["x"], &[("PROA_NO_API", "maybe")]), Err(Stop::Mistake(_))));
    }

    #[test]
    fn clap_finds_no_fault_in_its_definition() {
        command().debug_assert();
    }
}
