use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use punctual_proto::v1;
use punctual_proto::v1::job_service_client::JobServiceClient;
use scheduler_server::http::Limits;
use tempfile::TempDir;
use tls::{Reload, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::authority::{Authority, Issued, write};
use crate::client::request;
use crate::server::Server;

struct Protected {
    server: Server,
    tls: Arc<ServerTls>,
    authority: Authority,
    folder: TempDir,
}

async fn protected(client_ca: Option<&Authority>, limits: Limits) -> Protected {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("the server's");
    let files = write(folder.path(), &authority.issue("localhost"), client_ca);
    let tls = Arc::new(ServerTls::load(files).expect("files that go together"));
    Protected { server: Server::over(&tls, limits).await, tls, authority, folder }
}

async fn grpc(protected: &Protected, identity: Option<&Issued>) -> Result<Channel, tonic::transport::Error> {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&protected.authority.pem));
    if let Some(issued) = identity {
        config = config.identity(Identity::from_pem(&issued.cert, &issued.key));
    }
    let url = format!("https://{}", protected.server.address);
    Endpoint::from_shared(url).expect("a URL").tls_config(config).expect("a good configuration").connect().await
}

/// Who the server says that this client is.
async fn seen_as(channel: Channel) -> Result<String, tonic::Status> {
    let mut jobs = JobServiceClient::new(channel);
    let pause = v1::PauseJobRequest { job_id: "a".to_owned(), ..Default::default() };
    let job = jobs.pause_job(pause).await?.into_inner();
    Ok(job.pause.expect("a pause").author.trim_start_matches(['-', ' ']).to_owned())
}

/// A connection for HTTP/1.1, by a client that trusts this authority.
async fn connect(server: &Server, trusted: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(trusted.pem.as_bytes()).expect("a certificate");
    roots.add(trusted).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").expect("a name"), stream).await
}

async fn healthz(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut seen = Vec::new();
    while !seen.ends_with(b"ok\n") {
        assert_ne!(stream.read_buf(&mut seen).await.expect("read"), 0, "{}", String::from_utf8_lossy(&seen));
    }
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let protected = protected(None, Limits::default()).await;
    assert_eq!(seen_as(grpc(&protected, None).await.unwrap()).await.unwrap(), "");
    let stream = connect(&protected.server, &protected.authority).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let answer = sender.send_request(request(&protected.server, "GET /api/v1/scheduler/jobs", "")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    answer.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_to_speak_tls() {
    let protected = protected(None, Limits::default()).await;
    let mut stream = TcpStream::connect(protected.server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400 ") && told.ends_with(&format!("{}\n", tls::plain::ADVICE)), "{told}");

    let plain = Endpoint::from_shared(format!("http://{}", protected.server.address)).unwrap().connect().await;
    let error: Box<dyn std::error::Error> = match plain {
        Ok(channel) => seen_as(channel).await.unwrap_err().into(),
        Err(error) => error.into(),
    };
    assert_eq!(tls::explain(&*error), Some(tls::plain::ADVICE), "{error:?}");
}

#[tokio::test]
async fn who_speaks_tls_to_a_plain_port_is_told_so_by_its_own_side() {
    let server = Server::start().await;
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&Authority::new("any").pem));
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
    let error = endpoint.tls_config(config).unwrap().connect().await.unwrap_err();
    assert!(tls::explain(&error).is_some_and(|advice| advice.contains("http://")), "{error:?}");
}

#[tokio::test]
async fn a_clients_certificate_is_not_needed_but_known_where_it_is_shown() {
    let clients = Authority::new("the clients'");
    let protected = protected(Some(&clients), Limits::default()).await;
    assert_eq!(seen_as(grpc(&protected, None).await.unwrap()).await.unwrap(), "");
    let shown = clients.issue("worker-1.example");
    let channel = grpc(&protected, Some(&shown)).await.unwrap();
    assert_eq!(seen_as(channel).await.unwrap(), "worker-1.example");
}

#[tokio::test]
async fn a_strangers_certificate_is_refused() {
    let protected = protected(Some(&Authority::new("the clients'")), Limits::default()).await;
    let strangers = Authority::new("somebody else's").issue("worker-1.example");
    let served = match grpc(&protected, Some(&strangers)).await {
        Ok(channel) => seen_as(channel).await.map_err(|status| status.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert!(served.is_err(), "{served:?}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_no_connection_is_dropped() {
    let protected = protected(None, Limits::default()).await;
    let mut old = connect(&protected.server, &protected.authority).await.unwrap();
    healthz(&mut old).await;
    assert_eq!(protected.tls.reload().unwrap(), Reload::Unchanged);

    let renewed = Authority::new("the next");
    write(protected.folder.path(), &renewed.issue("localhost"), None);
    assert_eq!(protected.tls.reload().unwrap(), Reload::Changed);
    healthz(&mut connect(&protected.server, &renewed).await.unwrap()).await;
    connect(&protected.server, &protected.authority).await.expect_err("the old certificate is gone");
    healthz(&mut old).await;
}

#[tokio::test]
async fn a_bad_new_file_leaves_the_old_certificate_and_is_complained_of_once() {
    let protected = protected(None, Limits::default()).await;
    let key = protected.folder.path().join("server-key.pem");
    let good = fs::read(&key).unwrap();
    for bad in [Authority::new("other").issue("localhost").key.as_bytes(), b"no key", b""] {
        fs::write(&key, bad).unwrap();
        let error = protected.tls.reload().unwrap_err().to_string();
        assert!(error.contains("server-key.pem"), "{error}");
        assert_eq!(protected.tls.reload().unwrap(), Reload::Unchanged, "the same again");
        healthz(&mut connect(&protected.server, &protected.authority).await.unwrap()).await;
    }
    fs::remove_file(&key).unwrap();
    protected.tls.reload().unwrap_err();
    healthz(&mut connect(&protected.server, &protected.authority).await.unwrap()).await;
    fs::write(&key, good).unwrap();
    assert_eq!(protected.tls.reload().unwrap(), Reload::Changed);
}

#[tokio::test]
async fn a_new_client_authority_is_taken_too() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let protected = protected(Some(&first), Limits::default()).await;
    let early = grpc(&protected, Some(&first.issue("early"))).await.unwrap();
    assert_eq!(seen_as(early.clone()).await.unwrap(), "early");
    fs::write(protected.folder.path().join("client-ca.pem"), &second.pem).unwrap();
    assert_eq!(protected.tls.reload().unwrap(), Reload::Changed);
    let late = grpc(&protected, Some(&second.issue("late"))).await.unwrap();
    assert_eq!(seen_as(late).await.unwrap(), "late");
    assert_eq!(seen_as(early).await.unwrap(), "early", "a connection that is there stays");
}

#[tokio::test]
async fn who_does_not_become_tls_in_time_is_hung_up_on_and_holds_up_nobody() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let protected = protected(None, limits).await;
    let hello: &[u8] = &[0x16, 3, 1, 2, 0, 1];
    let mut stuck = Vec::new();
    for begun in [&b""[..], b"P", &hello[..1], hello] {
        let mut stream = TcpStream::connect(protected.server.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        stuck.push(stream);
    }
    healthz(&mut connect(&protected.server, &protected.authority).await.unwrap()).await;
    for mut stream in stuck {
        let mut told = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut told)).await;
        ended.expect("it is hung up on").ok();
    }
}
