use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use axum::http::HeaderValue;
use ledger::{Created, NewToken, Page, PageOf, SecretHash, Tokens, Unreadable};
use scheduler_core::access::{Role, Token};
use scheduler_core::audit::{Event, Origin};
use scheduler_core::ids::AuditEventId;
use scheduler_core::time::{Boot, Now, Timestamp};
use scheduler_core::txn::Failure;
use tokio::sync::Notify;

use super::*;

/// A ledger of tokens, which may be away, and a clock, which stands.
#[derive(Default)]
struct World {
    tokens: Mutex<Vec<(Token, SecretHash)>>,
    is_away: AtomicBool,
    reads: AtomicU64,
    millis: AtomicU64,
    /// The next read has found what there is (the first is told), and tells it later (when the second is).
    slow: Mutex<Option<(Arc<Notify>, Arc<Notify>)>>,
}

const NOW: Timestamp = Timestamp::from_secs(1_770_000_000);

#[async_trait]
impl Tokens for World {
    async fn token(&self, id: TokenId) -> Result<Option<(Token, SecretHash)>, Unreadable> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let slow = self.slow.lock().unwrap().take();
        if let Some((found, go_on)) = slow {
            let read = self.tokens.lock().unwrap().iter().find(|(token, _)| token.id == id).cloned();
            found.notify_one();
            go_on.notified().await;
            return Ok(read);
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Unreadable::Unavailable("away".to_owned()));
        }
        Ok(self.tokens.lock().unwrap().iter().find(|(token, _)| token.id == id).cloned())
    }

    async fn tokens(&self, _: Option<Timestamp>, _: &Page<TokenId>) -> Result<PageOf<Token>, Unreadable> {
        unreachable!("because signing in lists nothing")
    }

    async fn create_token(&self, _: &NewToken) -> Result<Created, Failure> {
        unreachable!("because signing in creates nothing")
    }

    async fn revoke_token(&self, id: TokenId, time: Timestamp, _: &Event) -> Result<Option<Token>, Failure> {
        let mut tokens = self.tokens.lock().unwrap();
        let (token, _) = tokens.iter_mut().find(|(token, _)| token.id == id).unwrap();
        token.revoke_time = Some(time);
        Ok(Some(token.clone()))
    }
}

impl World {
    /// Another second.
    fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    fn add(&self, n: u128, expire_time: Option<Timestamp>) -> Secret {
        let id = TokenId::at(NOW, n);
        let secret = Secret::new(id).unwrap();
        let token = Token {
            id,
            display_name: "ci".to_owned(),
            role: Role::Viewer,
            namespaces: [].into(),
            agent_ids: [].into(),
            queues: [].into(),
            expire_time,
            author: String::new(),
            create_time: NOW,
            revoke_time: None,
        };
        self.tokens.lock().unwrap().push((token, secret.hash()));
        secret
    }
}

fn sign_in(rate: Rate) -> (Arc<World>, SignIn, Arc<Proved>) {
    let world = Arc::new(World::default());
    let proved = Arc::new(Proved::new(Arc::clone(&world) as Arc<dyn Tokens>));
    let clock = Arc::clone(&world);
    let clocks: Clocks = Arc::new(move || {
        let passed = Duration::from_millis(clock.millis.load(Ordering::SeqCst));
        Now { wall: NOW.saturating_add(passed), boot: Boot(passed) }
    });
    let this = SignIn::new(Arc::clone(&proved), clocks, rate);
    (world, this, proved)
}

fn event() -> Event {
    Event {
        id: AuditEventId::at(NOW, 1),
        time: NOW,
        origin: Origin::default(),
        namespace: String::new(),
        resource: String::new(),
        request_id: String::new(),
        refusal: String::new(),
        before: None,
        after: None,
    }
}

fn headers(authorization: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())])
}

fn with(secret: &Secret) -> HeaderMap {
    headers(&format!("Bearer {}", secret.reveal()))
}

const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));

#[tokio::test]
async fn a_good_token_signs_in_and_nothing_else_does() {
    let (world, sign_in, _) = sign_in(Rate::ANY);
    let good = world.add(1, None);
    assert_eq!(sign_in.caller(&with(&good), HERE).await.unwrap().author(), "ci");
    assert!(sign_in.caller(&headers(&format!("bearer  {}", good.reveal())), HERE).await.is_ok());
    assert_eq!(sign_in.caller(&HeaderMap::new(), HERE).await.unwrap_err(), SignInError::NoToken);
    let forged = Secret::new(good.id()).unwrap();
    let unknown = Secret::new(TokenId::at(NOW, 9)).unwrap();
    let no_token = SignInError::NotRight("there is no such token".to_owned());
    assert_eq!(sign_in.caller(&with(&forged), HERE).await.unwrap_err(), no_token);
    assert_eq!(sign_in.caller(&with(&unknown), HERE).await.unwrap_err(), no_token, "alike: an id tells nothing");
    for wrong in ["Bearer", "Basic abc", "Bearer x", &good.reveal()] {
        let error = sign_in.caller(&headers(wrong), HERE).await.unwrap_err();
        assert!(matches!(error, SignInError::NotRight(_)), "{wrong}: {error}");
    }
    let mut twice = with(&good);
    twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    assert!(sign_in.caller(&twice, HERE).await.is_err());
}

#[tokio::test]
async fn an_ended_token_is_refused_at_its_instant_and_a_revoked_one_at_once() {
    let (world, sign_in, proved) = sign_in(Rate::ANY);
    let expires = world.add(1, Some(NOW.saturating_add(Duration::from_millis(500))));
    let revoked = world.add(2, None);
    assert!(sign_in.caller(&with(&expires), HERE).await.is_ok() && sign_in.caller(&with(&revoked), HERE).await.is_ok());
    world.pass(500);
    assert_eq!(sign_in.caller(&with(&expires), HERE).await.unwrap_err(), SignInError::Ended);
    proved.revoke_token(revoked.id(), NOW, &event()).await.unwrap();
    assert_eq!(sign_in.caller(&with(&revoked), HERE).await.unwrap_err(), SignInError::Ended);
}

#[tokio::test]
async fn a_token_that_another_node_revokes_is_refused_within_a_second() {
    let (world, sign_in, _) = sign_in(Rate::ANY);
    let token = world.add(1, None);
    for _ in 0..10 {
        assert!(sign_in.caller(&with(&token), HERE).await.is_ok());
    }
    assert_eq!(world.reads.load(Ordering::SeqCst), 1, "a call costs no read");
    world.tokens.lock().unwrap()[0].0.revoke_time = Some(NOW);
    world.pass(1_000);
    assert_eq!(sign_in.caller(&with(&token), HERE).await.unwrap_err(), SignInError::Ended);
}

#[tokio::test]
async fn a_known_token_goes_on_while_the_ledger_is_away_and_an_unknown_one_waits() {
    let (world, sign_in, _) = sign_in(Rate::ANY);
    let (known, unknown) = (world.add(1, Some(NOW.saturating_add(Duration::from_secs(60)))), world.add(2, None));
    assert!(sign_in.caller(&with(&known), HERE).await.is_ok());
    world.is_away.store(true, Ordering::SeqCst);
    world.pass(30_000);
    assert!(sign_in.caller(&with(&known), HERE).await.is_ok());
    let forged = Secret::new(known.id()).unwrap();
    assert!(matches!(sign_in.caller(&with(&forged), HERE).await, Err(SignInError::NotRight(_))));
    assert!(matches!(sign_in.caller(&with(&unknown), HERE).await, Err(SignInError::Unavailable(_))));
    world.pass(30_000);
    assert_eq!(sign_in.caller(&with(&known), HERE).await.unwrap_err(), SignInError::Ended, "it expires all the same");
}

#[tokio::test]
async fn an_unseen_revocation_lasts_ten_minutes_at_most_and_an_agents_as_long_as_the_ledger_is_away() {
    let (world, sign_in, _) = sign_in(Rate::ANY);
    let (viewer, agent) = (world.add(1, None), world.add(2, None));
    world.tokens.lock().unwrap()[1].0.role = Role::Agent;
    for token in [&viewer, &agent] {
        assert!(sign_in.caller(&with(token), HERE).await.is_ok());
    }
    world.is_away.store(true, Ordering::SeqCst);
    for (token, _) in &mut *world.tokens.lock().unwrap() {
        token.revoke_time = Some(NOW);
    }
    world.pass(599_999);
    assert!(sign_in.caller(&with(&viewer), HERE).await.is_ok());
    world.pass(1);
    assert!(matches!(sign_in.caller(&with(&viewer), HERE).await, Err(SignInError::Unavailable(_))));
    world.pass(24 * 3_600_000);
    assert!(sign_in.caller(&with(&agent), HERE).await.is_ok());
    world.is_away.store(false, Ordering::SeqCst);
    for token in [&viewer, &agent] {
        assert_eq!(sign_in.caller(&with(token), HERE).await.unwrap_err(), SignInError::Ended);
    }
}

#[tokio::test]
async fn a_read_that_was_under_way_does_not_bring_a_revoked_token_back() {
    let (world, sign_in, proved) = sign_in(Rate::ANY);
    let token = world.add(1, None);
    let (found, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    *world.slow.lock().unwrap() = Some((Arc::clone(&found), Arc::clone(&go_on)));
    let headers = with(&token);
    let (called, ()) = tokio::join!(sign_in.caller(&headers, HERE), async {
        found.notified().await;
        proved.revoke_token(token.id(), NOW, &event()).await.unwrap();
        go_on.notify_one();
    });
    assert!(called.is_ok(), "it was good when it was read");
    assert_eq!(sign_in.caller(&headers, HERE).await.unwrap_err(), SignInError::Ended);
}

#[tokio::test]
async fn wrong_tokens_of_an_address_are_limited_and_hold_up_no_proved_token() {
    let (world, sign_in, _) = sign_in(Rate::ANY);
    let (proved, fresh) = (world.add(1, None), world.add(2, None));
    assert!(sign_in.caller(&with(&proved), HERE).await.is_ok());
    let wrong = Secret::new(TokenId::at(NOW, 9)).unwrap();
    for _ in 0..10 {
        assert!(matches!(sign_in.caller(&with(&wrong), HERE).await, Err(SignInError::NotRight(_))));
    }
    let reads = world.reads.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert!(matches!(sign_in.caller(&with(&wrong), HERE).await, Err(SignInError::TooManyFailures(_))));
    }
    assert_eq!(world.reads.load(Ordering::SeqCst), reads, "the ledger is not asked any more");
    assert!(sign_in.caller(&with(&proved), HERE).await.is_ok());
    assert!(matches!(sign_in.caller(&with(&fresh), HERE).await, Err(SignInError::TooManyFailures(_))));
    assert!(sign_in.caller(&with(&fresh), THERE).await.is_ok(), "from elsewhere it goes on");
    world.pass(6_000);
    assert!(sign_in.caller(&with(&fresh), HERE).await.is_ok());
}

#[tokio::test]
async fn a_token_calls_no_more_often_than_its_rate_and_is_told_when_it_may_again() {
    let (world, sign_in, _) = sign_in(Rate { per_second: 10.0, burst: 2.0 });
    let (busy, other) = (world.add(1, None), world.add(2, None));
    for _ in 0..2 {
        assert!(sign_in.caller(&with(&busy), HERE).await.is_ok());
    }
    let refused = sign_in.caller(&with(&busy), HERE).await.unwrap_err();
    assert_eq!(refused, SignInError::TooFast(Duration::from_millis(100)));
    assert!(sign_in.caller(&with(&other), HERE).await.is_ok());
    world.pass(100);
    assert!(sign_in.caller(&with(&busy), HERE).await.is_ok());
}

#[test]
fn addresses_of_one_ipv6_network_are_one() {
    let of = |text: &str| network(Some(text.parse().unwrap()));
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
}
