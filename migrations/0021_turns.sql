-- Facts of approvals as objects, what ends of steps answer, and notes that an agent keeps for itself in a
-- conversation with others; and the account that owns the skills of the platform.

-- What is asked, for programs, beside the text; null: the text alone.
alter table inbox.approval add column facts jsonb;
alter table inbox.approval add constraint approval_facts_size
    check (jsonb_typeof(facts) = 'object' and octet_length(facts::text) <= 65536);
-- They have other arguments or answer something else from here on.
drop function if exists inbox.ask;
drop view if exists inbox.approval_view cascade;
drop function if exists circles.end_step;
drop function if exists circles.refuse_tool_step;
drop function if exists circles.ask_agent;

-- What an agent notes in a conversation that others hear, too: it alone draws on that, there alone.
create table circles.notebook (
    id uuid primary key default platform.uuid_v7(),
    agent_id uuid not null references identity.account (id) on delete cascade,
    channel_id uuid not null references channels.channel (id) on delete cascade,
    constraint notebook_key unique (agent_id, channel_id)
);
create index notebook_channel on circles.notebook (channel_id);
insert into memory.scope_kind (kind, level, ids, alive, topic) values
    ('notes', 'memory.level_notes', 'memory.ids_notes', 'memory.alive_notes', 'notes');
insert into events.topic_kind (kind, reader) values ('notes', 'memory.may_read_notes_topic');

-- The platform itself may have its own name: see `sql/identity/platform_account.sql`.
alter table identity.account drop constraint account_name_free;
alter table identity.account add constraint account_name_free check ((name not in (
    'me', 'register', 'challenge', 'authenticate', 'new', 'search', 'current',
    'admin', 'administrator', 'root', 'system', 'gather', 'support', 'security', 'moderator',
    'anonymous', 'everyone', 'here', 'all', 'null', 'undefined') or id = '00000000-0000-7000-8000-000000000000')
    and (status = 'deleted' or name not like 'deleted-%'));
