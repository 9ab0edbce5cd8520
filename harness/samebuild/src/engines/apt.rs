//! apt with a configuration of our own: it neither reads nor writes the machine's lists, state or caches, and runs none
//! of its hooks. Only how the machine reaches the network (proxies, timeouts) is taken over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{EngineError, IoContext};

/// One release's lists and settings, in a directory of ours.
#[derive(Debug)]
pub(super) struct Apt {
    dir: PathBuf,
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Apt {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Writes the settings, for a release as `mirror` has it, signed by Debian's archive keys.
    pub(super) fn configure(&self, mirror: &str, release: &str) -> Result<(), EngineError> {
        if !Path::new(KEYRING).exists() {
            return Err(EngineError::fetch(
                format!("Debian's {release} index"),
                format!(
                    "{KEYRING}, which its signature is checked with, is missing; install `debian-archive-keyring`"
                ),
            ));
        }
        for sub in ["lists/partial", "archives/partial", "empty"] {
            let sub = self.dir.join(sub);
            fs::create_dir_all(&sub).io(|| format!("create {}", sub.display()))?;
        }
        let write = |name: &str, text: String| {
            let path = self.dir.join(name);
            fs::write(&path, text).io(|| format!("write {}", path.display()))
        };
        write("sources.list", format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {release} main\n"))?;
        write("status", String::new())?;
        write("apt.conf", conf(&self.dir.display().to_string(), &machine_network()?))
    }

    /// Runs `apt-get` or `apt-cache`; see [`run`].
    pub(super) fn run(&self, program: &str, args: &[&str]) -> Result<String, String> {
        run(self.command(program).args(args))
    }

    /// The same in a directory, which is where `apt-get download` puts its file.
    pub(super) fn run_in(&self, dir: &Path, program: &str, args: &[&str]) -> Result<String, String> {
        run(self.command(program).args(args).current_dir(dir))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.dir.join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// The settings by which this machine's apt reaches the network, as lines of apt.conf.
fn machine_network() -> Result<Vec<String>, EngineError> {
    const TAKEN: [&str; 8] = [
        "Acquire::http",
        "Acquire::https",
        "Acquire::Retries",
        "Acquire::ForceIPv4",
        "Acquire::ForceIPv6",
        "Acquire::Check-Valid-Until",
        "Acquire::Check-Date",
        "Acquire::Max-FutureTime",
    ];
    let dump = run(Command::new("apt-config").arg("dump").env("LC_ALL", "C"))
        .map_err(|why| EngineError::fetch("apt's settings", why))?;
    let taken = |line: &&str| {
        let key = line.split_once(' ').map_or(*line, |(key, _)| key);
        TAKEN
            .iter()
            .any(|t| key.strip_prefix(t).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
    };
    Ok(dump.lines().filter(taken).map(str::to_owned).collect())
}

fn conf(dir: &str, network: &[String]) -> String {
    let mut conf = network.join("\n");
    conf.push_str(&format!(
        r#"
Dir::Etc::main "/dev/null";
Dir::Etc::parts "{dir}/empty";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "{dir}/empty";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{dir}/empty";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "{dir}/empty";
Dir::State "{dir}";
Dir::State::lists "{dir}/lists";
Dir::State::status "{dir}/status";
Dir::State::extended_states "{dir}/extended_states";
Dir::Cache "{dir}";
Dir::Cache::archives "{dir}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Log "{dir}";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
"#
    ));
    conf
}

/// Its standard output; else why not, with the end of what it said.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(std::process::Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("`{program}` is not on PATH; Debian packages need apt and dpkg: run on Debian, or install both")
        }
        _ => format!("`{program}` did not start: {error}"),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<_> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(4).collect();
    lines.reverse();
    Err(format!("`{program}` ended with {}: {}", output.status, lines.join(" / ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_configuration_names_no_place_of_the_machines_apt() {
        let conf = conf("/c", &["Acquire::http::Proxy \"http://p.example\";".to_owned()]);
        assert!(!conf.contains("/var/") && !conf.contains("/etc/"), "{conf}");
        assert!(conf.starts_with("Acquire::http::Proxy"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("samebuild-no-such-program")).unwrap_err();
        assert!(error.contains("`samebuild-no-such-program` is not on PATH"), "{error}");
    }
}
