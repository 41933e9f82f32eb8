-- Posts with their comments and votes; reports and moderation; whom an account has blocked.

create schema social;

-- Nothing of the blocked account is shown to the blocker, nor told to it. Unless it is merely muted, it can't write to
-- the blocker directly either.
create table social.block (
    blocker uuid not null references identity.account (id) on delete cascade,
    blocked uuid not null references identity.account (id) on delete cascade,
    mute boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    constraint block_pkey primary key (blocker, blocked),
    constraint block_of_another check (blocker <> blocked)
);
create index block_blocked on social.block (blocked);

create table social.post (
    id uuid primary key default platform.uuid_v7(),
    author_id uuid not null references identity.account (id),
    title text not null,
    -- Markdown as written, its HTML, its plain text; title, tags and plain text folded for the search.
    body text not null,
    html text not null,
    plain text not null,
    words text not null,
    tags text[] not null default '{}',
    mentions uuid[] not null default '{}',
    -- The sum of the votes, and how many comments are shown: kept by triggers.
    score bigint not null default 0,
    comments integer not null default 0,
    -- The number of the newest comment; whoever comments holds this row.
    last_comment integer not null default 0,
    version integer not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    edited_at timestamptz,
    deleted_at timestamptz,
    -- Moderation.
    hidden_at timestamptz,
    locked_at timestamptz,
    pinned_at timestamptz,
    moderated_by uuid,
    moderated_for text,
    constraint post_title_size check (char_length(title) <= 300),
    constraint post_body_size check (octet_length(body) <= 65536),
    constraint post_tags_count check (cardinality(tags) <= 10)
);
create index post_author on social.post (author_id, created_at);
create index post_words on social.post using gin (words trigram.gin_trgm_ops);
create index post_pinned on social.post (pinned_at) where pinned_at is not null;

-- Where a post is shown, with what it is ordered by there: `all`, `tag:<name>`, `by:<account>`. Kept by a trigger; a post
-- that is hidden or deleted is nowhere.
create table social.listed (
    list text collate "C" not null,
    post_id uuid not null references social.post (id) on delete cascade,
    score bigint not null,
    hot bigint not null,
    constraint listed_pkey primary key (list, post_id)
);
create index listed_hot on social.listed (list, hot, post_id);
create index listed_score on social.listed (list, score, post_id);
create index listed_post on social.listed (post_id);

-- What posts said before they were edited.
create table social.revision (
    post_id uuid not null references social.post (id) on delete cascade,
    version integer not null,
    title text not null,
    body text not null,
    html text not null,
    tags text[] not null,
    written_at timestamptz not null,
    -- Struck out: the text is gone.
    struck_at timestamptz,
    primary key (post_id, version)
);

create table social.comment (
    id uuid primary key default platform.uuid_v7(),
    post_id uuid not null references social.post (id) on delete cascade,
    parent_id uuid references social.comment (id) on delete cascade,
    author_id uuid not null references identity.account (id),
    -- The order of the thread: the parent's path and the comment's own number.
    path text collate "C" not null,
    depth integer not null,
    body text not null,
    html text not null,
    plain text not null,
    words text not null,
    mentions uuid[] not null default '{}',
    score bigint not null default 0,
    version integer not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    edited_at timestamptz,
    deleted_at timestamptz,
    hidden_at timestamptz,
    locked_at timestamptz,
    pinned_at timestamptz,
    moderated_by uuid,
    moderated_for text,
    constraint comment_path_key unique (post_id, path),
    constraint comment_body_size check (octet_length(body) <= 16384)
);
create index comment_author on social.comment (author_id, created_at);
create index comment_parent on social.comment (parent_id) where parent_id is not null;
create index comment_words on social.comment using gin (words trigram.gin_trgm_ops);

-- What comments said before they were edited.
create table social.comment_revision (
    comment_id uuid not null references social.comment (id) on delete cascade,
    version integer not null,
    body text not null,
    html text not null,
    written_at timestamptz not null,
    -- Struck out: the text is gone.
    struck_at timestamptz,
    primary key (comment_id, version)
);

create table social.post_vote (
    post_id uuid not null references social.post (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    value smallint not null,
    primary key (post_id, account_id),
    constraint post_vote_value check (value in (-1, 1))
);
create index post_vote_account on social.post_vote (account_id);

create table social.comment_vote (
    comment_id uuid not null references social.comment (id) on delete cascade,
    account_id uuid not null references identity.account (id) on delete cascade,
    value smallint not null,
    primary key (comment_id, account_id),
    constraint comment_vote_value check (value in (-1, 1))
);
create index comment_vote_account on social.comment_vote (account_id);

-- What somebody found to be wrong, with the text as it was at that moment.
create table social.report (
    id uuid primary key default platform.uuid_v7(),
    -- `post:<id>`, `comment:<id>`, `message:<id>` or `account:<id>`.
    target text not null,
    reporter_id uuid references identity.account (id) on delete set null,
    reason text not null,
    -- Who had written what, and beside what: {author, text, context}.
    evidence jsonb not null,
    state text not null default 'open',
    resolution text,
    resolved_by uuid,
    resolved_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    constraint report_target_form check (target ~ '^(post|comment|message|account):[0-9a-f-]{36}$'),
    constraint report_reason_size check (char_length(reason) between 1 and 1000),
    constraint report_resolution_size check (char_length(resolution) <= 1000),
    constraint report_state_known check (state in ('open', 'resolved')),
    constraint report_resolved check ((state = 'resolved') = (resolved_at is not null))
);
create unique index report_open on social.report (reporter_id, target) where state = 'open';
create index report_state on social.report (state, id);
create index report_resolved_at on social.report (resolved_at) where resolved_at is not null;

-- A post and a comment as one account may read them: author and texts are null where they were deleted.
create type social.seen_post as (
    id uuid, state text, author_id uuid, title text, body text, html text, tags text[], score bigint, comments integer,
    mentions uuid[], version integer, created_at timestamptz, edited_at timestamptz, locked boolean, pinned boolean,
    moderation jsonb
);
create type social.seen_comment as (
    id uuid, post_id uuid, parent_id uuid, path text, depth integer, state text, author_id uuid, body text, html text,
    score bigint, mentions uuid[], version integer, created_at timestamptz, edited_at timestamptz, locked boolean,
    pinned boolean, moderation jsonb
);

select platform.leaver('social');

select platform.function_role('social');
-- Changes go through the schema's functions only.
grant select on social.block, social.post, social.listed, social.comment to gather_social;
-- What readers of messages must not see is asked for within their own statements.
grant usage on schema social to gather_channels;

insert into events.topic_kind (kind, reader) values
    ('feed', 'social.may_read_feed'), ('tag', 'social.may_read_tag'), ('post', 'social.may_read_post');
insert into events.emitter (role, prefix) values
    ('gather_social', 'post.'), ('gather_social', 'comment.');
