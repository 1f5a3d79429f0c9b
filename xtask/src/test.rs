//! `cargo xtask test`: every test, on a machine that may have nothing but Rust.

use anyhow::Result;

use crate::{need, step, tool};

pub(crate) fn run(args: &[String]) -> Result<()> {
    need::meet(need::TEST)?;
    let clients = tool::clients()?;
    tool::node_packages()?;
    let nextest = tool::nextest();

    // With the tests, because then cargo resolves one set of features for the binaries that the tests spawn and for
    // the tests: without them the binaries would be built twice. Examples are run by tests, too.
    let targets = ["build", "--workspace", "--bins", "--examples", "--tests"];
    step::run("build the binaries, the examples and the tests", step::cargo().args(targets))?;

    let mut runner = step::cargo();
    runner.env(tool::GRPCURL_VARIABLE, clients.grpcurl).env(tool::PYTHON_VARIABLE, clients.python);
    runner.env("PUNCTUAL_TEST_BIN_DIR", step::debug_binaries()?);
    if !nextest {
        runner.args(["test", "--workspace", "--no-fail-fast"]).args(args);
        return step::exec("run the tests with cargo test, which does not end one that hangs", &mut runner);
    }
    if args.is_empty() {
        step::run("run the doc tests", step::cargo().args(["test", "--quiet", "--doc", "--workspace"]))?;
    }
    // Last, so that the last line is the number of tests.
    runner.args(["nextest", "run", "--workspace"]).args(args);
    step::exec("run the tests", &mut runner)
}
