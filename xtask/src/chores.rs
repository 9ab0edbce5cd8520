//! The table of chores. A row is the registration, the help and the documentation; short chores are here, long ones
//! have a file.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::shell::{Checkout, code_of, succeed};

/// One thing to do in a checkout.
pub(crate) struct Chore {
    pub(crate) name: &'static str,
    pub(crate) args: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Checkout, &[String]) -> Result<ExitCode>,
}

/// Every chore, in the order of the help.
pub(crate) const CHORES: &[Chore] = &[
    Chore {
        name: "conformance",
        args: "[FILTER…] [--engine E] [--repeat N [--record]] [--benchmark-file F]",
        about: "build every case in every dialect and hold it against what real builders did (the main job)",
        run: |checkout, args| checkout.become_samebuild("conform", args),
    },
    Chore {
        name: "test",
        args: "[NEXTEST ARGS…]",
        about: "all tests, through cargo-nextest (fetched when absent)",
        run: crate::test::run,
    },
    Chore {
        name: "observe",
        args: "--engine E [FILTER…]",
        about: "record what the builders of an engine make of the cases: writes golden/**/observed/",
        run: |checkout, args| checkout.become_samebuild("observe", args),
    },
    Chore {
        name: "bless",
        args: "[FILTER…]",
        about: "accept what the reference builder makes where nothing was observed: writes golden/**/reference/",
        run: |checkout, args| checkout.become_samebuild("bless", args),
    },
    Chore {
        name: "report",
        args: "[--check]",
        about: "write REPORT.md from the checkout; with --check, fail when it is out of date",
        run: |checkout, args| checkout.become_samebuild("report", args),
    },
    Chore {
        name: "gate",
        args: "[--profile root|rootless|unprivileged|live] [--engine E]",
        about: "what CI asks: conformance, minimums, the planted canary, the report",
        run: |checkout, args| checkout.become_samebuild("gate", args),
    },
    Chore {
        name: "repro-race",
        args: "[NAME] [--strategy S] [--seed N] [--replay FILE] [--engine E --budget ci|full --record]",
        about: "search for an order of turns that deletes the image just built; on a real engine with --engine",
        run: repro_race,
    },
    Chore {
        name: "repro-lag",
        args: "[--seeds N] [--copies N] [--replay SEED] [--probe DIR] [--scripts N] [--record]",
        about: "layers that depend on the clock, changes that are lost, file systems that lag: each against what is predicted",
        run: |checkout, args| checkout.become_samebuild("lag", args),
    },
    Chore {
        name: "dialects",
        args: "[--mutate] [--diff A B]",
        about: "the dialects; with --mutate, turn every decision and see that some case notices",
        run: |checkout, args| checkout.become_samebuild("dialects", args),
    },
    Chore {
        name: "bench",
        args: "build [--engine E] [--workload W] [--record] | diff [--size S|M|L] [--record] | artifacts [--record]",
        about: "what builds, comparisons and lookups cost in a release build, ours beside others'",
        run: |checkout, args| checkout.become_released("bench", args),
    },
    Chore {
        name: "new-case",
        args: "GROUP/NAME",
        about: "lay out a new case under dockerfiles/",
        run: crate::new_case::run,
    },
    Chore {
        name: "tidy",
        args: "",
        about: "what no compiler checks: tables, pairs, headers, README commands",
        run: crate::tidy::run,
    },
    Chore {
        name: "lint",
        args: "",
        about: "fmt --check, clippy with warnings as errors, cargo-deny where it is installed",
        run: lint,
    },
];

fn repro_race(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    checkout.become_samebuild("race", args)
}

fn lint(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`{arg}` is not an argument; lint takes none");
    }
    succeed(checkout.cargo().args(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    succeed(checkout.cargo().args(clippy))?;
    let has_deny =
        checkout.cargo().args(["deny", "--version"]).output().is_ok_and(|out| out.status.success());
    if !has_deny {
        eprintln!(
            "cargo-deny is not installed: deny.toml was not checked (`cargo install --locked cargo-deny`)"
        );
        return Ok(ExitCode::SUCCESS);
    }
    code_of(checkout.cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}
