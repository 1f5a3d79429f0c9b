//! What etcd's members say of themselves: their version, and whether it is good for this, and the size of the database.

use etcd_client::StatusResponse;
use futures::future::join_all;
use tokio::time::timeout;

use crate::Size;

use super::Shared;

/// The earliest that the tests run with.
const MINIMUM: (u32, u32) = (3, 4);

/// What is against a version; `None`: nothing.
fn objection(version: &str) -> Option<String> {
    let mut parts = version.split(['.', '-', '+']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return Some("it is of no known form".to_owned());
    };
    let patch = parts.next().and_then(Result::ok).unwrap_or(0);
    if (major, minor) < MINIMUM {
        return Some(format!("{}.{} is the earliest that Punctual is tested with", MINIMUM.0, MINIMUM.1));
    }
    // Its makers warn of these: a member that is killed under load may differ from the others afterwards.
    if (major, minor) == (3, 5) && patch < 3 {
        return Some("3.5.0 to 3.5.2 can corrupt data when they are killed".to_owned());
    }
    None
}

impl Shared {
    pub(super) async fn warn_of_version(&self, member: usize) {
        let Some(status) = self.status(member).await else { return };
        if let Some(objection) = objection(status.version()) {
            let endpoint = self.members.endpoint(member);
            tracing::warn!(endpoint, version = status.version(), objection, "etcd should be updated");
        }
    }

    pub(super) async fn sizes(&self) -> Vec<Size> {
        let size = async |member| {
            let bytes = u64::try_from(self.status(member).await?.db_size()).ok()?;
            Some(Size { endpoint: self.members.endpoint(member).to_owned(), bytes })
        };
        join_all((0..self.members.count()).map(size)).await.into_iter().flatten().collect()
    }

    /// What one member says of itself.
    async fn status(&self, member: usize) -> Option<StatusResponse> {
        let endpoint = self.members.endpoint(member);
        let status = async { self.members.client(member).await?.status().await };
        match timeout(self.members.patience(), status).await {
            Ok(Ok(status)) => return Some(status),
            Ok(Err(error)) => tracing::debug!(endpoint, %error, "etcd does not tell its status"),
            Err(_) => tracing::debug!(endpoint, "etcd does not tell its status in time"),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::objection;

    #[test]
    fn versions_that_are_too_old_or_lose_data_are_objected_to() {
        for good in ["3.4.0", "3.4.23", "3.5.3", "3.6.0-rc.1", "4.0"] {
            assert_eq!(objection(good), None, "{good}");
        }
        for bad in ["3.3.27", "2.3.8", "3.5.0", "3.5.2", "", "new"] {
            assert!(objection(bad).is_some(), "{bad}");
        }
    }
}
