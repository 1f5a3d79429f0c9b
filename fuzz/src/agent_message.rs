//! What must hold whatever bytes an agent sends: no panic, and what is understood is fit for the ledger.
//!
//! The bytes are one `AgentMessage`; as a Hello or as any later message, they are what the server's stream reads first.

use agent_wire::{from_agent, hello};
use prost::Message as _;
use punctual_proto::v1::{self, agent_message::Message};
use scheduler_core::agent::{Finished, FromAgent, Report, ReportEvent};

/// Text is cut; a little more than that is the name of what it belongs to.
const LONGEST_TEXT: usize = 9 << 10;

pub(crate) fn check(data: &[u8]) {
    let Ok(message) = v1::AgentMessage::decode(data) else { return };
    if let Some(Message::Hello(said)) = &message.message
        && let Ok(hello) = hello(said.clone())
    {
        assert!(hello.slots > 0, "{said:?}");
        assert_fit(&hello.agent_id.0, usize::MAX);
        assert_fit(&hello.version, usize::MAX);
    }
    match from_agent(message) {
        Ok(Some(FromAgent::Inventory(inventory))) => inventory.reports.iter().for_each(assert_report),
        Ok(Some(FromAgent::Reports(reports))) => reports.iter().for_each(assert_report),
        Ok(Some(FromAgent::Rejected { reason, .. })) => assert_fit(&reason, LONGEST_TEXT),
        Ok(
            None
            | Some(FromAgent::Heartbeat { .. } | FromAgent::Logs(_) | FromAgent::Revoked { .. } | FromAgent::Draining),
        ) => {}
        Err(malformed) => assert!(!malformed.to_string().is_empty(), "refused without a reason"),
    }
}

fn assert_report(report: &Report) {
    match &report.event {
        ReportEvent::Started => {}
        ReportEvent::Progress(progress) => {
            assert!((0.0..=100.0).contains(&progress.percent), "{report:?}");
            assert_fit(&progress.message, LONGEST_TEXT);
        }
        ReportEvent::Finished(Finished { result, error, .. }) => {
            if let Some(result) = result {
                assert!(serde_json::from_str::<serde_json::Value>(result).is_ok(), "{report:?}");
            }
            for error in error.iter() {
                assert_fit(&error.code, LONGEST_TEXT);
                assert_fit(&error.message, LONGEST_TEXT);
            }
        }
    }
}

fn assert_fit(text: &str, longest: usize) {
    assert!(!text.contains('\0') && text.len() <= longest, "{} bytes: {text:?}", text.len());
}
