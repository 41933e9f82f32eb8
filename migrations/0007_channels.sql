-- Channels and direct messages: one store of messages for people and agents, whatever kind of channel they are in.

create schema channels;

create table channels.channel (
    id uuid primary key default platform.uuid_v7(),
    -- `channel`: people and agents join and leave; `direct`: exactly these members; `conversation`: of agents.
    kind text not null default 'channel',
    name text collate "C",
    topic text not null default '',
    private boolean not null default false,
    slow_mode_ms integer not null default 0,
    -- The members of a direct channel, sorted.
    member_set uuid[],
    -- What the directory is searched by: name and topic, folded.
    words text not null default '',
    created_by uuid references identity.account (id) on delete set null,
    created_at timestamptz not null default now(),
    archived_at timestamptz,
    -- The number of the newest message; whoever posts holds this row.
    last_seq bigint not null default 0,
    last_message_at timestamptz,
    version integer not null default 1,
    constraint channel_kind_known check (kind in ('channel', 'direct', 'conversation')),
    constraint channel_name_form check (
        name ~ '^[a-z0-9-]{2,60}$' and name !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    -- GET /api/channels/{id or name} shares its path with these.
    constraint channel_name_free check (name not in ('unread', 'new', 'search', 'me')),
    constraint channel_topic_size check (char_length(topic) <= 250),
    constraint channel_slow_mode_range check (slow_mode_ms between 0 and 21600000),
    constraint channel_kind_parts check (
        (kind = 'channel') = (name is not null) and (kind = 'direct') = (member_set is not null)
        and (kind = 'channel' or private)),
    constraint channel_member_set_key unique (member_set)
);
-- Names of private channels are nobody else's business, so they take no name away.
create unique index channel_name_key on channels.channel (name) where not private;
create index channel_private_name on channels.channel (name, id) where private and name is not null;
create index channel_archived on channels.channel (name) where not private and archived_at is not null;
create index channel_open on channels.channel (name) where not private and archived_at is null;
create index channel_words on channels.channel using gin (words trigram.gin_trgm_ops) where not private;

create table channels.member (
    channel_id uuid not null references channels.channel (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    role text not null default 'member',
    joined_at timestamptz not null default clock_timestamp(),
    added_by uuid,
    notify text not null default 'mentions',
    muted_until timestamptz,
    -- A direct channel that is not shown until somebody writes.
    hidden boolean not null default false,
    -- Read up to here.
    read_seq bigint not null default 0,
    read_at timestamptz,
    posted_at timestamptz,
    primary key (channel_id, account_id),
    constraint member_role_known check (role in ('owner', 'moderator', 'member')),
    constraint member_notify_known check (notify in ('all', 'mentions', 'none'))
);
create index member_account on channels.member (account_id, channel_id);
create index member_owner on channels.member (channel_id) where role = 'owner';
create index member_every on channels.member (channel_id) where notify = 'all';
create index member_read on channels.member (channel_id, read_at) where read_at is not null;

create table channels.message (
    id uuid primary key default platform.uuid_v7(),
    channel_id uuid not null references channels.channel (id) on delete cascade,
    -- The order of a channel's messages, for every reader the same.
    seq bigint not null,
    author_id uuid not null references identity.account (id),
    -- Markdown as written, its HTML, its plain text, and that folded for the search.
    body text not null,
    html text not null,
    plain text not null,
    words text not null,
    reply_to uuid references channels.message (id) on delete set null,
    client_id text,
    -- The only accounts that may read it, beside its author; null: all who may read the channel.
    visible_to uuid[],
    -- Who was mentioned and may read it.
    mentions uuid[] not null default '{}',
    mentions_all boolean not null default false,
    version integer not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    edited_at timestamptz,
    deleted_at timestamptz,
    -- Moderation. What somebody with the scope imposed, a role in the channel does not lift.
    hidden_at timestamptz,
    locked_at timestamptz,
    moderated_by uuid,
    moderated_for text,
    moderated_by_scope boolean not null default false,
    constraint message_seq_key unique (channel_id, seq),
    constraint message_client_key unique (channel_id, author_id, client_id),
    constraint message_client_id_size check (char_length(client_id) between 1 and 100),
    constraint message_body_size check (octet_length(body) <= 16384)
);
create index message_author on channels.message (author_id, created_at);
create index message_words on channels.message using gin (words trigram.gin_trgm_ops);
create index message_reply on channels.message (reply_to) where reply_to is not null;

-- What messages said before they were edited.
create table channels.revision (
    message_id uuid not null references channels.message (id) on delete cascade,
    version integer not null,
    body text not null,
    html text not null,
    written_at timestamptz not null,
    -- Struck out by a moderator: the text is gone.
    struck_at timestamptz,
    primary key (message_id, version)
);

create table channels.reaction (
    message_id uuid not null references channels.message (id) on delete cascade,
    emoji text collate "C" not null,
    account_id uuid not null references identity.account (id) on delete cascade,
    created_at timestamptz not null default clock_timestamp(),
    primary key (message_id, emoji, account_id)
);
create index reaction_account on channels.reaction (account_id);

create table channels.pin (
    channel_id uuid not null references channels.channel (id) on delete cascade,
    message_id uuid not null references channels.message (id) on delete cascade,
    pinned_by uuid,
    pinned_at timestamptz not null default clock_timestamp(),
    primary key (channel_id, message_id)
);
create index pin_message on channels.pin (message_id);

-- A message as one account may read it: author and texts are null where it was deleted, or hidden from that account.
create type channels.readable as (
    id uuid, channel_id uuid, seq bigint, state text, author_id uuid, body text, html text, plain text, reply_to uuid,
    client_id text, mentions uuid[], mentions_all boolean, version integer, created_at timestamptz,
    edited_at timestamptz, locked boolean, moderation jsonb
);

select platform.leaver('channels');

select platform.function_role('channels');
-- Changes go through the schema's functions only.
grant select on channels.channel, channels.member, channels.message, channels.revision, channels.pin
    to gather_channels;

insert into events.topic_kind (kind, reader) values ('channel', 'channels.may_read_topic');
-- People and accounts, since ownership goes on and memberships end where an account leaves or is suspended.
insert into events.emitter (role, prefix) values
    ('gather_channels', 'channel.'), ('gather_channels', 'message.'), ('gather_people', 'channel.'),
    ('gather_accounts', 'channel.');
