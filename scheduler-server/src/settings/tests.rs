use super::*;

fn serve(flags: &[&str]) -> Result<Settings> {
    let program = Program::try_parse_from([&["scheduler-server", "serve"], flags].concat())?;
    match program.command {
        Command::Serve(flags) => flags.resolve(),
        other => bail!("{other:?}"),
    }
}

#[test]
fn the_port_is_not_opened_to_others_unless_told_so() {
    let ledger = "--database-url=sqlite://l.db";
    assert!(serve(&[ledger]).unwrap().names.is_none());
    assert!(serve(&[ledger, "--listen=0.0.0.0:1"]).is_err());
    assert!(serve(&[ledger, "--listen=0.0.0.0:1", "--insecure"]).is_err());
    let tls = ["--tls-cert=c.pem", "--tls-key=k.pem"];
    let whole = serve(&[&[ledger, "--listen=10.1.2.3:1"], &tls[..]].concat()).unwrap();
    assert!(whole.sign_in && whole.warnings.is_empty(), "{:?}", whole.warnings);
    let open = serve(&[ledger, "--listen=10.1.2.3:1", "--insecure", "--advertise=http://punctual.example:80"]);
    let open = open.unwrap();
    assert!(open.warnings.len() == 1 && open.warnings[0].contains("--insecure"), "{:?}", open.warnings);
    assert_eq!(open.names.unwrap().into_iter().collect::<Vec<_>>(), ["10.1.2.3", "punctual.example"]);
}

#[test]
fn a_node_is_reached_by_the_names_that_it_is_given_and_by_no_others() {
    let open = ["--database-url=sqlite://l.db", "--listen=0.0.0.0:1", "--insecure"];
    let names = |host: &str| serve(&[&open[..], &[host]].concat()).map(|settings| settings.names.unwrap());
    let found: Vec<String> = names("--host=punctual,10.1.2.3").unwrap().into_iter().collect();
    assert_eq!(found, ["10.1.2.3", "punctual"]);
    for wrong in ["--host=http://punctual", "--host=punctual,", "--host="] {
        assert!(names(wrong).is_err(), "{wrong}");
    }
    assert!(
        serve(&["--database-url=sqlite://l.db", "--host=punctual"]).is_err(),
        "it would let nobody in by that name"
    );
}

#[test]
fn who_listens_beyond_loopback_lets_nobody_in_without_a_token() {
    let signs_in = |flags: &[&str]| {
        let settings = serve(&[&["--database-url=sqlite://l.db"], flags].concat()).unwrap();
        (settings.sign_in, settings.token_rate)
    };
    let rate = Rate { per_second: 500.0, burst: 1_000.0 };
    assert_eq!(signs_in(&[]), (false, rate));
    assert_eq!(signs_in(&["--sign-in", "--token-rate=0"]), (true, Rate::ANY));
    assert_eq!(signs_in(&["--listen=10.1.2.3:1", "--insecure"]), (false, rate));
    assert_eq!(signs_in(&["--listen=10.1.2.3:1", "--insecure", "--sign-in"]), (true, rate));
}

#[test]
fn a_cluster_whose_agents_may_not_go_on_for_long_is_warned_of() {
    let warned = |flags: &[&str]| {
        let settings = serve(flags).unwrap();
        settings.warnings.iter().any(|warning| warning.contains("--agent-ttl"))
    };
    let cluster = ["--database-url=postgres://u@h/d", "--etcd=http://e:2379"];
    assert!(warned(&[&cluster[..], &["--agent-ttl=5s"]].concat()));
    assert!(!warned(&[&cluster[..], &["--agent-ttl=6s"]].concat()) && !warned(&cluster));
    assert!(!warned(&["--database-url=sqlite://l.db", "--agent-ttl=5s"]), "there is no etcd that could be away");
}

#[test]
fn a_flag_beats_the_file_and_an_unknown_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("punctual.toml");
    let config = format!("--config={}", path.display());
    std::fs::write(&path, "agent-ttl = \"7s\"\nnode-id = \"file\"\ndatabase-url = \"sqlite://l.db\"").unwrap();
    let settings = serve(&[&config, "--node-id=flag"]).unwrap();
    assert_eq!((settings.agent_ttl, settings.node_id.as_str()), (Duration::from_secs(7), "flag"));
    std::fs::write(&path, "agent-tll = \"7s\"").unwrap();
    assert!(serve(&[&config, "--database-url=sqlite://l.db"]).is_err());
}

#[test]
fn tls_is_whole_or_refused_and_the_address_says_it() {
    let ledger = "--database-url=sqlite://l.db";
    let tls = serve(&[ledger, "--tls-cert=c.pem", "--tls-key=k.pem", "--max-connections=7"]).unwrap();
    assert_eq!((tls.advertise.as_str(), tls.limits.connections), ("https://127.0.0.1:7117", 7));
    assert!(tls.tls.is_some() && tls.warnings.is_empty());
    for wrong in ["--tls-cert=c.pem", "--tls-key=k.pem", "--tls-client-ca=ca.pem", "--max-connections=0"] {
        assert!(serve(&[ledger, wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_be_the_ledger_is_refused() {
    for url in ["--database-url=mysql://x/y", "--database-url=sqlite://", "--agent-ttl=3s"] {
        assert!(serve(&[url]).is_err(), "{url}");
    }
}

#[test]
fn the_ledger_is_shown_without_its_password() {
    let url = "--database-url=postgres://me:s3cret@db.example:5432/jobs?sslmode=verify-full&password=s3cret";
    let shown = format!("{:?}", serve(&[url]).unwrap());
    assert!(shown.contains("postgres://db.example:5432/jobs"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
