-- The inbox: what accounts are told, each in a list of its own, and approvals: questions that one or more accounts
-- have to agree to. Other functions reach both by the SQL functions of `sql/inbox`: `notify`, `revise`, `erase`,
-- `ask` and `void`.

create schema inbox;

-- What items may be about. A function that has more to tell registers its kinds in its own migration.
create table inbox.kind (
    name text primary key,
    constraint kind_name_form check (name ~ '^[a-z][a-z-]{0,39}$')
);
insert into inbox.kind (name) values ('mention'), ('direct'), ('reply'), ('message'), ('review'), ('job'), ('invitation'),
    ('approval'), ('moderation'), ('webhook'), ('subscription');

create table inbox.item (
    -- Lists go by it, the newest first. An item that is told again gets another one.
    id uuid primary key default platform.uuid_v7(),
    account_id uuid not null references identity.account (id) on delete cascade,
    kind text not null,
    title text not null,
    text text not null,
    link text,
    -- The account that it comes from.
    by uuid,
    -- The object whose content `text` shows, such as `message:<id>`, so that edits and deletions reach it.
    subject text,
    -- The topic that one has to be able to read to be shown it, such as `channel:<id>`; null: the account alone.
    topic text,
    read_at timestamptz,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    state text not null generated always as (
        case when archived_at is not null then 'archived' when read_at is not null then 'read' else 'unread' end) stored,
    constraint item_kind_known foreign key (kind) references inbox.kind (name),
    constraint item_title_size check (char_length(title) between 1 and 200),
    constraint item_text_size check (char_length(text) <= 500),
    constraint item_link_form check (link ~ '^/[^/[:cntrl:]][^[:cntrl:]]*$' and char_length(link) <= 500),
    constraint item_subject_form check (subject ~ '^[a-z]+:[a-zA-Z0-9-]{1,80}$')
);
create unique index item_told on inbox.item (account_id, kind, subject) where subject is not null;
create index item_present on inbox.item (account_id, id) where archived_at is null;
create index item_state on inbox.item (account_id, state, id);
create index item_kind_present on inbox.item (account_id, kind, id) where archived_at is null;
create index item_kind_state on inbox.item (account_id, kind, state, id);
create index item_subject on inbox.item (subject) where subject is not null;
create index item_topic on inbox.item (topic, account_id) where topic is not null;
create index item_by on inbox.item (by) where by is not null;

-- What an account wants to be told. Without a row: all of that kind.
create table inbox.setting (
    account_id uuid not null references identity.account (id) on delete cascade,
    kind text not null,
    inbox boolean not null,
    constraint setting_pkey primary key (account_id, kind),
    constraint setting_kind_known foreign key (kind) references inbox.kind (name)
);

-- A question, open until it is decided, taken back, or too late.
create table inbox.approval (
    id uuid primary key default platform.uuid_v7(),
    -- What it is about, as a topic: `turn:<id>`. Who may read that topic hears how it ends.
    subject text not null,
    question text not null,
    detail text not null,
    -- Of exactly that which is approved: who decides has to name it.
    digest text not null,
    -- How many have to approve. One who denies ends it.
    need integer not null,
    -- What is to be filled in, as a JSON Schema.
    form jsonb,
    state text not null default 'pending',
    expires_at timestamptz not null,
    asked_by uuid,
    -- Whoever asks may decide too.
    self boolean not null,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint approval_subject_form check (subject ~ '^[a-z]+:[a-zA-Z0-9-]{1,80}$'),
    constraint approval_question_size check (char_length(question) between 1 and 500),
    constraint approval_detail_size check (char_length(detail) <= 20000),
    constraint approval_digest_size check (char_length(digest) between 1 and 200),
    constraint approval_need_positive check (need > 0),
    constraint approval_form_size check (jsonb_typeof(form) = 'object' and pg_column_size(form) <= 65536),
    constraint approval_state_known check (state in ('pending', 'approved', 'denied', 'expired', 'void')),
    constraint approval_ended check ((ended_at is not null) = (state <> 'pending'))
);
create index approval_asked_by on inbox.approval (asked_by, id);
create index approval_due on inbox.approval (expires_at) where state = 'pending';

-- Who may decide: accounts, and whoever is a member of a team at that moment.
create table inbox.asked (
    who uuid not null,
    approval_id uuid not null references inbox.approval (id) on delete cascade,
    is_team boolean not null,
    constraint asked_pkey primary key (who, approval_id)
);
create index asked_approval on inbox.asked (approval_id);

create table inbox.decision (
    approval_id uuid not null references inbox.approval (id) on delete cascade,
    account_id uuid not null,
    decision text not null,
    reason text,
    form jsonb,
    created_at timestamptz not null default clock_timestamp(),
    constraint decision_pkey primary key (approval_id, account_id),
    constraint decision_known check (decision in ('approve', 'deny')),
    constraint decision_reason_size check (char_length(reason) <= 2000),
    constraint decision_form_size check (jsonb_typeof(form) = 'object' and pg_column_size(form) <= 65536)
);
create index decision_account on inbox.decision (account_id, approval_id);

-- What is called, in the same transaction, when an approval about such a subject has ended however it did: a function
-- of the asker's schema that takes the approval's id.
create table inbox.on_decided (
    -- The part of a subject before the colon.
    kind text primary key,
    function text not null,
    constraint on_decided_function_form check (function ~ '^[a-z_]+\.[a-z_]+$')
);

select platform.leaver('inbox');

select platform.function_role('inbox', writes => false);
grant select on inbox.item, inbox.kind, inbox.asked to gather_inbox;
grant select, insert, update, delete on inbox.setting to gather_inbox;
