//! The man page and the completions, in memory.

use std::io;

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use proa::internals::{CODES, OPTION_PREFIX, VARIABLES, VARIABLES_IN_SHORT, command};

/// Path within a distribution's prefix, and content, of each file.
pub(crate) fn all() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    Ok(vec![
        ("share/man/man1/proa.1", man()?),
        ("share/bash-completion/completions/proa", completions(Shell::Bash)),
        ("share/zsh/site-functions/_proa", completions(Shell::Zsh)),
        ("share/fish/vendor_completions.d/proa.fish", completions(Shell::Fish)),
    ])
}

fn completions(shell: Shell) -> Vec<u8> {
    // `<auto|off>` names all that an option takes, so a shell can offer it.
    let mut definition = command().mut_args(|argument| {
        let name = argument.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
        let name: &'static str = name.unwrap_or_default().leak();
        let Some((first, second)) = name.split_once('|') else { return argument };
        argument.value_parser([first, second])
    });
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition, "proa", &mut script);
    script
}

fn man() -> io::Result<Vec<u8>> {
    // The commit is the build's, not the page's.
    let page = Man::new(command().version(env!("CARGO_PKG_VERSION"))).manual("User Commands");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    let mut rest = Roff::default();
    rest.control("SH", ["EXIT STATUS"]);
    for (code, when, _) in CODES {
        rest.control("TP", []).text([bold(code)]).text([roman(when)]);
    }
    rest.control("SH", ["ENVIRONMENT"]).text([roman(VARIABLES_IN_SHORT)]);
    let option = format!("{OPTION_PREFIX}*");
    let of_options = "One for each option, named with it above: its name in capitals, with underscores.";
    for (name, meaning) in [(option.as_str(), of_options)].into_iter().chain(VARIABLES) {
        rest.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
    rest.to_writer(&mut out)?;
    Ok(out)
}
