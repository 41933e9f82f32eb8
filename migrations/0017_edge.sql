-- Edges: servers near the users, which answer what is public and hold sockets for one topic each.

create schema edge;

-- The topics whose events an edge gets pushed while it renews its lease.
create table edge.topic (
    topic text collate "C" primary key,
    -- Where events are posted to.
    callback text not null,
    -- Where the edge stands, as a reader's sealed position.
    position text not null,
    lease_ends_at timestamptz not null,
    -- The gateway that pushes, for as long as it says so.
    pusher uuid,
    pusher_ends_at timestamptz,
    constraint topic_form check (topic ~ '^[a-z]+:[^[:space:]:]+$' and octet_length(topic) <= 140),
    constraint topic_callback_size check (octet_length(callback) <= 1000)
);
create index topic_lease on edge.topic (lease_ends_at);

select platform.function_role('edge', writes => false);
grant usage on schema events to gather_edge;
grant select, insert, update, delete on edge.topic to gather_edge;

-- Gateways push.
grant usage on schema edge to gather_realtime;
