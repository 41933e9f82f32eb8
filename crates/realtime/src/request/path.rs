//! The gateway's paths, which its Cargo.toml declares as `native_routes`.

use uuid::Uuid;

/// The meaning of one of the gateway's paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    Socket,
    /// A socket that is subscribed to a topic from the start; a circle may be called by its name.
    TopicSocket(String),
    ChannelSocket(Uuid),
    Presence(Uuid),
    Stream,
}

impl Path {
    /// The meaning of a path; `None` if it is not one of the gateway's.
    pub fn of(path: &str) -> Option<Self> {
        match path {
            "/ws" => return Some(Self::Socket),
            "/api/events/stream" => return Some(Self::Stream),
            _ => {}
        }
        if let Some(followed) = path.strip_prefix("/ws/") {
            return Self::of_topic(followed);
        }
        let (id, what) = path.strip_prefix("/api/channels/")?.split_once('/')?;
        let id = Uuid::try_parse(id).ok()?;
        match what {
            "ws" => Some(Self::ChannelSocket(id)),
            "presence" => Some(Self::Presence(id)),
            _ => None,
        }
    }

    fn of_topic(path: &str) -> Option<Self> {
        let (kind, name) = path.split_once('/')?;
        let id = Uuid::try_parse(name).ok();
        let is_name = (2..=60).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let topic = match (kind, id) {
            ("circles", Some(id)) => format!("circle:{id}"),
            ("circles", None) if is_name => format!("circle:{name}"),
            ("agents", Some(id)) => format!("agent:{id}"),
            ("conversations", Some(id)) => format!("conversation:{id}"),
            _ => return None,
        };
        Some(Self::TopicSocket(topic))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_routes_that_it_declares_are_served() {
        let manifest: toml::Table = include_str!("../../Cargo.toml").parse().expect("TOML");
        let routes = &manifest["package"]["metadata"]["gather"]["native_routes"];
        let routes = routes.as_array().expect("a list");
        let paths: BTreeSet<_> = routes
            .iter()
            .map(|route| {
                let route = route.as_str().expect("a string");
                let parts = route.split('/').map(|part| match part.strip_prefix(':') {
                    Some(_) => Uuid::nil().to_string(),
                    None => part.to_owned(),
                });
                Path::of(&parts.collect::<Vec<_>>().join("/"))
            })
            .collect();
        let all = [
            Path::Socket,
            Path::TopicSocket(format!("circle:{}", Uuid::nil())),
            Path::TopicSocket(format!("agent:{}", Uuid::nil())),
            Path::TopicSocket(format!("conversation:{}", Uuid::nil())),
            Path::ChannelSocket(Uuid::nil()),
            Path::Presence(Uuid::nil()),
            Path::Stream,
        ];
        let count = all.len();
        assert_eq!(paths, all.map(Some).into());
        assert_eq!(routes.len(), count);
        assert_eq!(
            Path::of("/ws/circles/friends"),
            Some(Path::TopicSocket("circle:friends".to_owned()))
        );
        for bad in [
            "/ws/circles/",
            "/ws/circles/A",
            "/ws/agents/ada",
            "/ws/other/friends",
        ] {
            assert_eq!(Path::of(bad), None, "{bad}");
        }
    }
}
