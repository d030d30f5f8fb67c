//! `valetkey config`: which file is in force, and what is wrong with it. Starts nothing, changes nothing.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::config;
use crate::config::Config;
use crate::config::Environment;
use crate::config::Fault;
use crate::config::Faults;
use crate::config::Place;
use crate::config::Style;
use crate::os::Paths;
use crate::policy;
use crate::policy::PolicySet;
use crate::policy::PolicyText;

/// Check the configuration, or say where it is.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigAction {
    /// Say everything that is wrong with the configuration, without starting anything.
    Check(ConfigWhich),
    /// Say which file is in force.
    Path(ConfigWhich),
}

/// Which configuration, and how to speak of it.
#[derive(Debug, clap::Args)]
pub struct ConfigWhich {
    /// The file; without it VALETKEY_CONFIG, then proxy.toml in the configuration folder.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `valetkey config check` and `valetkey config path`.
pub fn run(
    args: &ConfigArgs,
    environment: Environment<'_>,
    paths: &Paths,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match &args.action {
        ConfigAction::Check(which) => {
            let place = config::find(which.config.as_deref(), environment, paths);
            let checked = check(which, &place, environment, output);
            let Some(good) = checked else { return Ok(Exit::Configuration) };
            let exit = check_policies(&place, environment, paths, output)?;
            // nothing is called good before all of it is
            if exit == Exit::Done && !which.json {
                output.data(good);
            }
            Ok(exit)
        }
        ConfigAction::Path(which) => {
            let place = config::find(which.config.as_deref(), environment, paths);
            say_path(which, &place, output);
            Ok(Exit::Done)
        }
    }
}

/// What is to be said of a good file; none of one with faults, which have been told.
fn check(which: &ConfigWhich, place: &Place, environment: Environment<'_>, output: &mut Output) -> Option<String> {
    let result = config::open(place, environment);
    if which.json {
        output.data(in_json(place, &result));
    } else {
        let coloured = std::io::stderr().is_terminal() && environment("NO_COLOR").is_none_or(|value| value.is_empty());
        let style = if coloured { Style::Coloured } else { Style::Plain };
        match &result {
            Ok(config) => {
                if !config.warnings.is_empty() {
                    output.talk(format_args!("{}\n", config.warnings.render(style)));
                }
            }
            Err(faults) => {
                output.talk(format_args!("{}\n", faults.render(style)));
                output.talk(format_args!("error: {} in {}", counted(faults.errors(), "fault"), faults.file()));
            }
        }
    }
    result.ok().map(|config| summary(place, &config))
}

/// The policies that this configuration would put in force.
fn check_policies(
    place: &Place,
    environment: Environment<'_>,
    paths: &Paths,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Ok(config) = config::open(place, environment) else { return Ok(Exit::Configuration) };
    let texts = policy_texts(&config, paths)?;
    match PolicySet::parse(&texts) {
        Ok(policies) => {
            let known = |name: &str| {
                let configured = config.resources.iter().any(|resource| resource.identifier.as_str() == name);
                configured || name == config::WHOAMI_IDENTIFIER
            };
            for stranger in policies.strangers(known) {
                output.talk(format_args!(
                    "warning: {stranger}\n  hint: its identifier must be one of [[resource]] in proxy.toml, letter by letter"
                ));
            }
            Ok(Exit::Done)
        }
        Err(faults) => {
            for fault in &faults.faults {
                output.talk(format_args!("error: {fault}"));
            }
            Ok(Exit::Configuration)
        }
    }
}

/// What decides: the folder that the file names, else `policies/` in the configuration folder, else the built-in set.
pub(crate) fn policy_texts(config: &Config, paths: &Paths) -> Result<Vec<PolicyText>, Failure> {
    match policy_folder(config, paths) {
        None => Ok(policy::builtin()),
        Some(folder) => policy::read_folder(&folder)
            .map_err(|error| Failure::new(Exit::Configuration, "the policies can't be read").caused_by(&error)),
    }
}

/// Where the policies are; none for the built-in set.
pub(crate) fn policy_folder(config: &Config, paths: &Paths) -> Option<PathBuf> {
    let usual = paths.config_folder().join("policies");
    config.policy.folder.clone().or_else(|| usual.is_dir().then_some(usual))
}

fn summary(place: &Place, config: &Config) -> String {
    let warnings = match config.warnings.len() {
        0 => String::new(),
        number => format!(", {}", counted(number, "warning")),
    };
    let what = match place {
        Place::File(path) => path.display().to_string(),
        Place::Defaults { would_be } => format!("built-in defaults ({} is not there)", would_be.display()),
    };
    let resources = counted(config.resources.len(), "resource");
    format!("ok: {what}: {resources}, {}{warnings}", counted(config.secrets.len(), "secret"))
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn in_json(place: &Place, result: &Result<Config, Faults>) -> Value {
    let file = match place {
        Place::File(path) => Some(path.display().to_string()),
        Place::Defaults { .. } => None,
    };
    match result {
        Ok(config) => json!({
            "ok": true,
            "file": file,
            "resources": config.resources.len(),
            "secrets": config.secrets.len(),
            "faults": faults_in_json(&config.warnings),
        }),
        Err(faults) => json!({ "ok": false, "file": file, "faults": faults_in_json(faults) }),
    }
}

fn faults_in_json(faults: &Faults) -> Vec<Value> {
    let one = |fault: &Fault| {
        let position = faults.position(fault);
        json!({
            "severity": fault.severity().as_str(),
            "message": fault.message(),
            "hint": fault.advice(),
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
        })
    };
    faults.iter().map(one).collect()
}

fn say_path(which: &ConfigWhich, place: &Place, output: &mut Output) {
    let (path, in_force) = match place {
        Place::File(path) => (path, true),
        Place::Defaults { would_be } => (would_be, false),
    };
    if which.json {
        output.data(json!({ "path": path.display().to_string(), "in_force": in_force }));
        return;
    }
    output.data(path.display());
    if !in_force {
        output.talk("hint: it is not there, so the built-in defaults hold; `valetkey init` writes it");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn checked(text: &str) -> (Exit, Value, Place) {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        std::fs::write(paths.config_file(), text).unwrap();
        std::fs::set_permissions(paths.config_file(), PermissionsExt::from_mode(0o600)).unwrap();
        let place = config::find(None, &|_| None, &paths);
        let result = config::open(&place, &|_| None);
        let action = ConfigAction::Check(ConfigWhich { config: None, json: true });
        let exit = run(&ConfigArgs { action }, &|_| None, &paths, &mut Output::new()).unwrap();
        (exit, in_json(&place, &result), place)
    }

    #[test]
    fn the_words_of_the_command_are_sound() {
        <ConfigArgs as clap::Args>::augment_args(clap::Command::new("config")).debug_assert();
        <crate::cli::init::InitArgs as clap::Args>::augment_args(clap::Command::new("init")).debug_assert();
    }

    #[test]
    fn a_good_file_is_counted() {
        let (exit, json, place) =
            checked("[[resource]]\nidentifier = \"https://a.example.com\"\ncredential = \"none\"\n");
        assert_eq!(exit, Exit::Done);
        assert_eq!((&json["ok"], &json["resources"], &json["secrets"]), (&json!(true), &json!(1), &json!(0)));
        let Place::File(path) = &place else { panic!() };
        let config = config::defaults();
        assert_eq!(summary(&place, &config), format!("ok: {}: 0 resources, 0 secrets", path.display()));
    }

    #[test]
    fn a_bad_file_is_exit_78_and_says_where() {
        let (exit, json, _) = checked("\n  lisen = 1\n[proxy]\nlisten = \"0.0.0.0:1\"\n");
        assert_eq!(exit, Exit::Configuration);
        let places: Vec<_> =
            json["faults"].as_array().unwrap().iter().map(|fault| (&fault["line"], &fault["column"])).collect();
        assert_eq!(places, [(&json!(2), &json!(3)), (&json!(4), &json!(10))]);
    }

    #[test]
    fn no_file_is_no_fault() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::below(home.path());
        let action = ConfigAction::Check(ConfigWhich { config: None, json: false });
        assert_eq!(run(&ConfigArgs { action }, &|_| None, &paths, &mut Output::new()).unwrap(), Exit::Done);
        let named = ConfigWhich { config: Some(home.path().join("named.toml")), json: false };
        let args = ConfigArgs { action: ConfigAction::Check(named) };
        assert_eq!(run(&args, &|_| None, &paths, &mut Output::new()).unwrap(), Exit::Configuration);
    }
}
