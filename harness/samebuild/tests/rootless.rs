//! RUN without root, as users made up for the purpose (`samebuild::unprivileged`): what is built, what is skipped, and
//! what is said when something is missing. That all cases come out as root makes them is `ci/gate --profile rootless`.
//!
//! Needs root to make the users up, and Debian's uidmap or the machine's. Without, the trials are listed as ignored and
//! the reason is printed; they do not pass.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use samebuild::checkout::Checkout;
use samebuild::unprivileged::{Person, prepare};

/// Dockerfiles, and what is said of each; nothing where it is built.
const WITH_IDS: [(&str, &str); 6] = [
    (
        "RUN touch /a && ln /a /b && chown 65534:65534 /a && chmod 4755 /a && mkfifo /p && rm -r /etc && mkdir /etc",
        "",
    ),
    ("RUN mknod /n c 1 3 || true", "asks to make a device"),
    ("RUN chown 70000 /bin/busybox || true", "asks to name an owner that has no id here"),
    ("USER 70000\nRUN true", "asks to name an owner that has no id here"),
    ("COPY --chown=70000 Dockerfile /f\nRUN true", "no owner above 65536"),
    ("RUN chown 65536 /bin/busybox", ""),
];

fn main() -> ExitCode {
    samebuild_builder::sandbox::become_child_if_asked();
    samebuild::unprivileged::become_user_if_asked();
    let trials = vec![
        Trial::ignorable_test("rootless::what_only_root_is_given_is_skipped_and_the_rest_is_built", || {
            let all: Vec<&str> = WITH_IDS.iter().map(|(dockerfile, _)| *dockerfile).collect();
            conforms(Person::WithIds, &all, |said| {
                for (index, (dockerfile, sentence)) in WITH_IDS.iter().enumerate() {
                    let name = format!("case-{index}");
                    let line =
                        said.lines().find(|line| line.contains(&name)).ok_or("it is not in the table")?;
                    let skipped = line.contains("skipped");
                    if skipped == sentence.is_empty() || !said.contains(sentence) {
                        return Err(format!("{dockerfile}: {line}\n{said}").into());
                    }
                }
                Ok(())
            })
        }),
        Trial::ignorable_test("rootless::without_ids_the_file_and_a_line_for_it_are_named", || {
            conforms(Person::WithoutIds, &["RUN true"], |said| {
                holds(said, "/etc/subuid gives samebuild 0; add a line such as samebuild:100000:65536")
            })
        }),
        Trial::ignorable_test("rootless::without_newuidmap_the_package_is_named", || {
            conforms(Person::WithoutPrograms, &["RUN true"], |said| {
                holds(said, "newuidmap is not on PATH; install it (Debian's package is uidmap)")
            })
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn holds(said: &str, sentence: &str) -> Result<(), Failed> {
    if said.contains(sentence) { Ok(()) } else { Err(format!("nobody says `{sentence}`: {said}").into()) }
}

/// Runs `conform` over `dockerfiles` as `person`, and looks at what it says.
fn conforms(
    person: Person,
    dockerfiles: &[&str],
    look: impl FnOnce(&str) -> Result<(), Failed>,
) -> Result<Completion, Failed> {
    let dir = tempfile::tempdir()?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    for (index, dockerfile) in dockerfiles.iter().enumerate() {
        let home = dir.path().join(format!("dockerfiles/case-{index}"));
        std::fs::create_dir_all(&home)?;
        std::fs::write(home.join("Dockerfile"), format!("FROM samebuild.test/base:1\n{dockerfile}\n"))?;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_samebuild"));
    let args = ["conform", "dockerfiles", "--dialect", "buildkit@26.1", "--dialect", "classic@20.10"];
    let prepared = prepare(program, &args, person, &Checkout::at(dir.path()), &|line| eprintln!("{line}"));
    let mut prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("rootless: not exercised: {error:#}");
            return Ok(Completion::ignored_with(format!("{error:#}")));
        }
    };
    let output = prepared.command.output()?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    look(&said)?;
    Ok(Completion::Completed)
}
