-- Skills: components of strangers that every agent calls as tools. Published in versions, reviewed,
-- attested, rated, ranked.

-- Typo tolerance of the search.
create schema if not exists trigram;
create extension if not exists pg_trgm with schema trigram;

create schema skills;

-- The components themselves, once for each content. The bytes are elsewhere where an object store is.
create table skills.component (
    digest text primary key,
    size_bytes bigint not null,
    bytes bytea,
    created_at timestamptz not null default now(),
    constraint component_digest_form check (digest ~ '^sha256:[0-9a-f]{64}$')
);
-- They are compressed already, as far as they can be.
alter table skills.component alter column bytes set storage external;
create index component_created on skills.component (created_at);

create table skills.skill (
    id uuid primary key default platform.uuid_v7(),
    name text collate "C" not null,
    -- A name belongs to its first publisher, who may hand it over.
    owner_id uuid not null references identity.account (id),
    created_at timestamptz not null default now(),
    -- The version that callers get who name none: the highest approved one. Null: none is approved.
    latest_id uuid,
    -- What lists and the search show, of that version.
    description text not null default '',
    tags text[] not null default '{}',
    updated_at timestamptz not null default now(),
    document tsvector not null default '',
    words text not null default '',
    -- By the ranking job: the formula stands at skills.rank_all.
    rank double precision not null default 0,
    uses_30d bigint not null default 0,
    users_30d bigint not null default 0,
    rating double precision,
    ratings bigint not null default 0,
    constraint skill_name_key unique (name),
    -- No double underscore and no dot: MCP tools are called <skill>__<tool>.
    constraint skill_name_form check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and char_length(name) between 2 and 60)
);
create index skill_owner on skills.skill (owner_id, id);
create index skill_rank on skills.skill (rank, id) where latest_id is not null;
create index skill_new on skills.skill (id) where latest_id is not null;
create index skill_used on skills.skill (uses_30d, id) where latest_id is not null;
create index skill_document on skills.skill using gin (document);
create index skill_words on skills.skill using gin (words trigram.gin_trgm_ops);
create index skill_tags on skills.skill using gin (tags);

create table skills.version (
    id uuid primary key default platform.uuid_v7(),
    skill_id uuid not null references skills.skill (id),
    version text collate "C" not null,
    -- Sorts byte by byte as SemVer 2.0.0, section 11, orders versions.
    precedence text collate "C" not null,
    is_prerelease boolean not null,
    digest text not null references skills.component (digest),
    -- As it was published: description, license, tags, readme, tools, permissions, limits, examples.
    manifest jsonb not null,
    -- [{name, description, input_schema, output_schema}], from the component's types.
    tools jsonb not null,
    -- What the component is made of: imports, exports, size, producers, ….
    facts jsonb not null,
    status text not null default 'in_review',
    -- A person has to decide.
    held boolean not null default false,
    published_by uuid not null references identity.account (id),
    job_id uuid,
    -- What the review found, and why it decided as it did.
    review jsonb,
    -- 0 to 1, of the review.
    quality double precision,
    created_at timestamptz not null default now(),
    decided_at timestamptz,
    decided_by uuid references identity.account (id),
    yanked_at timestamptz,
    constraint version_key unique (skill_id, version),
    constraint version_status_known check (status in ('in_review', 'approved', 'rejected', 'yanked')),
    constraint version_held check (not held or status = 'in_review'),
    constraint version_quality check (quality between 0 and 1)
);
create index version_order on skills.version (skill_id, precedence);
create index version_held on skills.version (id) where held;
create index version_digest on skills.version (digest);
-- For the deletion of accounts, as others below.
create index version_published on skills.version (published_by);
create index version_decided on skills.version (decided_by) where decided_by is not null;
alter table skills.skill add constraint skill_latest foreign key (latest_id) references skills.version (id);

-- Signed statements about a version: DSSE envelopes.
create table skills.attestation (
    id uuid primary key default platform.uuid_v7(),
    version_id uuid not null references skills.version (id),
    envelope jsonb not null,
    created_at timestamptz not null default now()
);
create index attestation_version on skills.attestation (version_id, id);

-- What accounts think of a skill; one each.
create table skills.rating (
    skill_id uuid not null references skills.skill (id),
    account_id uuid not null references identity.account (id) on delete cascade,
    rating smallint not null,
    text text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (skill_id, account_id),
    constraint rating_range check (rating between 1 and 5),
    constraint rating_text_size check (char_length(text) <= 4000)
);
create index rating_new on skills.rating (skill_id, updated_at, account_id);
create index rating_account on skills.rating (account_id);

-- Who called what, by day.
create table skills.usage (
    skill_id uuid not null references skills.skill (id),
    account_id uuid not null references identity.account (id) on delete cascade,
    day date not null,
    calls bigint not null default 0,
    failures bigint not null default 0,
    primary key (skill_id, account_id, day)
);
create index usage_day on skills.usage (day);
create index usage_account on skills.usage (account_id, day);

-- What skills keep: a namespace each, within the quota that was granted.
create table skills.kv_total (
    skill_id uuid primary key references skills.skill (id),
    bytes bigint not null default 0
);
create table skills.kv (
    skill_id uuid not null references skills.skill (id),
    bucket text collate "C" not null,
    key text collate "C" not null,
    value bytea not null,
    primary key (skill_id, bucket, key),
    constraint kv_key_size check (octet_length(key) between 1 and 1024)
);
-- What a pair counts of its skill's quota: what it is, and about what a row takes.
create function skills.kv_size(bucket text, key text, value bytea) returns bigint
language sql immutable
as $$
    select coalesce(octet_length(bucket) + octet_length(key) + octet_length(value) + 64, 0)
$$;

create table skills.idempotency_key (
    owner text not null,
    key text not null,
    fingerprint text not null,
    status integer,
    headers jsonb,
    body text,
    created_at timestamptz not null default now(),
    primary key (owner, key),
    constraint idempotency_key_size check (char_length(key) between 1 and 255)
);
create index idempotency_key_created on skills.idempotency_key (created_at);

-- Whether a review's job will not come to its end: it was cancelled, or has lost all its attempts.
create function skills.is_review_lost(job uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select not exists (select from jobs.job j where j.id = is_review_lost.job and j.finished_at is null)
$$;

-- Publishes a version and asks for its review. Refuses by the constraints skill_owner (the name is
-- somebody else's) and version_key (that version exists). A version that is still under review, though its
-- job was cancelled or is dead, is reviewed again when the same is published again.
--   published  what the sandbox made of the upload: manifest, precedence, digest, tools, facts
create function skills.publish(account uuid, published jsonb) returns jsonb
language plpgsql
as $$
declare
    skill skills.skill;
    version skills.version;
    manifest jsonb := published -> 'manifest';
begin
    insert into skills.skill (name, owner_id) values (manifest ->> 'name', account)
    on conflict on constraint skill_name_key do nothing;
    select * into skill from skills.skill s where s.name = manifest ->> 'name' for update;
    if skill.owner_id <> account then
        raise exception 'the name is taken' using errcode = 'unique_violation', constraint = 'skill_owner';
    end if;
    insert into skills.version
        (skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts, published_by)
    values (skill.id, manifest ->> 'version', published ->> 'precedence',
        (published ->> 'is_prerelease')::boolean, published ->> 'digest', manifest,
        published -> 'tools', published -> 'facts', account)
    on conflict on constraint version_key do nothing
    returning * into version;
    if version.id is null then
        select * into version from skills.version v
        where v.skill_id = skill.id and v.version = published #>> '{manifest,version}' and v.status = 'in_review'
        and not v.held and v.digest = published ->> 'digest' and v.manifest = publish.published -> 'manifest'
        and skills.is_review_lost(v.job_id);
        if version.id is null then
            raise exception 'the version exists' using errcode = 'unique_violation', constraint = 'version_key';
        end if;
    end if;
    update skills.version v
    set job_id = jobs.enqueue('skill-review', jsonb_build_object('version_id', version.id), account,
        version.id::text)
    where v.id = version.id returning * into version;
    return jsonb_build_object('skill_id', skill.id, 'version_id', version.id, 'job_id', version.job_id,
        'created_at', version.created_at);
end
$$;

-- Chooses the version that a skill stands for, and what lists show of it: the highest approved one, a
-- pre-release only where there is nothing else.
create function skills.choose_latest(skill uuid) returns void
language sql
as $$
    -- Who chooses at the same time waits here, and then sees what was decided.
    select from skills.skill s where s.id = choose_latest.skill for update;
    update skills.skill s
    set latest_id = l.id,
        description = coalesce(l.manifest ->> 'description', ''),
        tags = coalesce(array(select jsonb_array_elements_text(l.manifest -> 'tags')), '{}'),
        updated_at = now(),
        words = lower(concat_ws(' ', s.name, replace(s.name, '-', ' '), l.manifest ->> 'description',
            (select string_agg(t, ' ') from jsonb_array_elements_text(l.manifest -> 'tags') t))),
        document =
            setweight(to_tsvector('simple', replace(s.name, '-', ' ')), 'A')
            || setweight(to_tsvector('english', coalesce(l.manifest ->> 'description', '')), 'B')
            || setweight(to_tsvector('simple', coalesce(
                (select string_agg(t, ' ') from jsonb_array_elements_text(l.manifest -> 'tags') t), '')), 'B')
            || setweight(to_tsvector('english', coalesce(
                (select string_agg(concat_ws(' ', t ->> 'name', t ->> 'description'), ' ')
                 from jsonb_array_elements(l.tools) t), '')), 'C')
            || setweight(to_tsvector('english', left(coalesce(l.manifest ->> 'readme', ''), 20000)), 'D')
    from (select 1) one
    left join lateral (
        select v.* from skills.version v
        where v.skill_id = choose_latest.skill and v.status = 'approved'
        order by v.is_prerelease, v.precedence desc limit 1
    ) l on true
    where s.id = choose_latest.skill
$$;

-- The skills that a query finds, the 1,000 that fit best: by their words in any form, or by words that
-- look alike. The threshold is lower than the extension's own, so that two letters may be wrong.
create function skills.matching(query text) returns table (id uuid, relevance double precision)
language sql stable security definer
set search_path = pg_catalog, trigram, pg_temp
set pg_trgm.word_similarity_threshold = '0.45'
as $$
    select s.id, round((
        ts_rank(s.document, q.query) + word_similarity(lower(matching.query), s.words)
        + case when s.name = lower(matching.query) then 1 else 0 end)::numeric, 4)::double precision as relevance
    from skills.skill s,
        lateral (select websearch_to_tsquery('english', matching.query)
            || websearch_to_tsquery('simple', matching.query) as query) q
    where s.latest_id is not null
    and (s.document @@ q.query or lower(matching.query) <% s.words)
    order by relevance desc, s.rank desc, s.id desc limit 1000
$$;

-- Ends a review. `verdict`: approve, reject or hold. A null `by` is the review itself, which decides
-- only once; a person (`by`) decides about what is held. Answers whether it was there to decide.
create function skills.decide(
    version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target skills.version;
begin
    select v.* into target from skills.version v where v.id = decide.version for update;
    if not found or target.status <> 'in_review' or (decide.by is not null) <> target.held then
        return false;
    end if;
    update skills.version v
    set status = case decide.verdict when 'approve' then 'approved' when 'reject' then 'rejected' else 'in_review' end,
        held = decide.verdict = 'hold',
        review = coalesce(decide.review, v.review),
        quality = coalesce(decide.quality, v.quality),
        decided_at = case decide.verdict when 'hold' then null else now() end,
        decided_by = decide.by
    where v.id = target.id;
    if decide.envelope is not null then
        insert into skills.attestation (version_id, envelope) values (target.id, decide.envelope);
    end if;
    if decide.verdict = 'approve' then
        perform skills.choose_latest(target.skill_id);
    end if;
    insert into events.event (topic, type, data)
    values ('account:' || target.published_by, 'skill.' || decide.verdict,
        jsonb_build_object('skill_id', target.skill_id, 'version_id', target.id, 'version', target.version));
    return true;
end
$$;

-- Takes an approved version back; the skill then stands for the next one.
create function skills.yank(version uuid) returns void
language sql
as $$
    update skills.version v set status = 'yanked', yanked_at = now()
    where v.id = yank.version and v.status = 'approved';
    select skills.choose_latest(v.skill_id) from skills.version v where v.id = yank.version;
$$;

-- Versions as lists show them. `is_public`: anybody may see it.
create view skills.version_view as
select v.id, v.skill_id, v.version, v.precedence, v.status, v.held, v.digest, c.size_bytes, v.created_at,
    v.decided_at, v.status in ('approved', 'yanked') as is_public
from skills.version v join skills.component c on c.digest = v.digest;

-- What the review works on, and what it decided if it did.
create function skills.under_review(version uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('version_id', v.id, 'skill_id', s.id, 'name', s.name, 'version', v.version,
        'digest', v.digest, 'manifest', v.manifest, 'tools', v.tools, 'facts', v.facts, 'status', v.status,
        'held', v.held, 'published_by', v.published_by,
        'reasons', v.review -> 'reasons', 'quality', v.quality)
    from skills.version v join skills.skill s on s.id = v.skill_id
    where v.id = under_review.version
$$;

-- Computes every skill's rank: 0.35 quality + 0.25 reach + 0.25 rating + 0.15 freshness, each 0 to 1.
--   quality    what the review of the newest approved version attested
--   reach      ln(1 + w) / ln(1001), at most 1, where w adds up the weights of the accounts, the owner aside,
--              that called the skill within 30 days
--   rating     the mean of the ratings by accounts that have called the skill, weighted, with a prior of
--              five votes of 3.5 (a Bayesian average), from 1..5 to 0..1
--   freshness  halves with every 180 days since the newest approved version
-- Rounded to four digits, with age in days: most ranks stay as they are from one time to the next, and so do
-- the pages that are read meanwhile.
-- An account's weight grows with its age to 1 at 30 days, and with the number of authors whose skills it
-- calls: a third for one, all for three. So many calls count like one, new accounts count for little,
-- and accounts that exist for one author count for a third at most.
create function skills.rank_all() returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with recent as (
        select u.skill_id, u.account_id, sum(u.calls) as calls
        from skills.usage u where u.day > current_date - 30 group by u.skill_id, u.account_id
    ), weight as (
        select a.id as account_id,
            least(1, extract(epoch from now() - a.created_at) / (30 * 86400))
            * least(1, count(distinct s.owner_id) filter (where s.owner_id <> a.id) / 3.0) as weight
        from recent r
        join identity.account a on a.id = r.account_id
        join skills.skill s on s.id = r.skill_id
        group by a.id, a.created_at
    ), reach as (
        select r.skill_id, sum(r.calls) as calls, count(*) as users, sum(w.weight) as weight
        from recent r join weight w using (account_id)
        join skills.skill s on s.id = r.skill_id and s.owner_id <> r.account_id
        group by r.skill_id
    ), rated as (
        select t.skill_id, count(*) as ratings, avg(t.rating) as mean,
            coalesce(sum(w.weight * t.rating) filter (where r.account_id is not null), 0) as total,
            coalesce(sum(w.weight) filter (where r.account_id is not null), 0) as weight
        from skills.rating t
        join skills.skill s on s.id = t.skill_id and s.owner_id <> t.account_id
        left join recent r on r.skill_id = t.skill_id and r.account_id = t.account_id
        left join weight w on w.account_id = t.account_id
        group by t.skill_id
    ), ranked as (
        select s.id, round((
            0.35 * coalesce(v.quality, 0)
            + 0.25 * least(1, ln(1 + coalesce(c.weight, 0)) / ln(1001))
            + 0.25 * ((5 * 3.5 + coalesce(t.total, 0)) / (5 + coalesce(t.weight, 0)) - 1) / 4
            + 0.15 * power(0.5, (current_date - v.created_at::date) / 180.0)
            )::numeric, 4)::double precision as rank,
            coalesce(c.calls, 0) as uses, coalesce(c.users, 0) as users, t.mean, coalesce(t.ratings, 0) as ratings
        from skills.skill s
        join skills.version v on v.id = s.latest_id
        left join reach c on c.skill_id = s.id
        left join rated t on t.skill_id = s.id
    ), changed as (
        update skills.skill s
        set rank = r.rank, uses_30d = r.uses, users_30d = r.users, rating = r.mean, ratings = r.ratings
        from ranked r
        where r.id = s.id
        and (s.rank, s.uses_30d, s.users_30d, s.rating, s.ratings)
            is distinct from (r.rank, r.uses, r.users, r.mean, r.ratings)
        returning 1
    )
    select count(*) from changed
$$;

-- Components that no version has, a day after they came: an upload whose publishing failed. Answers
-- their digests; with an object store, its bytes are the sandbox's to delete.
create function skills.sweep() returns setof text
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from skills.component c
    where c.digest in (
        select o.digest from skills.component o
        where o.created_at < now() - interval '1 day'
        and not exists (select from skills.version v where v.digest = o.digest)
        order by o.created_at limit 100)
    -- Again, of the row as it is now: it may have been uploaded anew.
    and c.created_at < now() - interval '1 day'
    returning c.digest
$$;

-- Adds up calls: [{skill_id, account_id, calls, failures}]. Accounts that are gone are left out.
create function skills.record_usage(calls jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into skills.usage as u (skill_id, account_id, day, calls, failures)
    select c.skill_id, c.account_id, current_date, c.calls, c.failures
    from jsonb_to_recordset(record_usage.calls)
        as c (skill_id uuid, account_id uuid, calls bigint, failures bigint)
    join skills.skill s on s.id = c.skill_id
    join identity.account a on a.id = c.account_id
    order by c.skill_id, c.account_id
    on conflict (skill_id, account_id, day) do update
    set calls = u.calls + excluded.calls, failures = u.failures + excluded.failures
$$;

-- Sets or (null) deletes a key within the quota. Calls at the same time wait for each other at the
-- total's row, so that none can exceed it. Answers false where the quota is too small.
create function skills.kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    total bigint;
    before bigint;
    after bigint := skills.kv_size(kv_put.bucket, kv_put.key, kv_put.value);
begin
    insert into skills.kv_total (skill_id) values (kv_put.skill) on conflict do nothing;
    select t.bytes into total from skills.kv_total t where t.skill_id = kv_put.skill for update;
    select skills.kv_size(k.bucket, k.key, k.value) into before
    from skills.kv k where k.skill_id = kv_put.skill and k.bucket = kv_put.bucket and k.key = kv_put.key;
    total := total - coalesce(before, 0) + after;
    if after > coalesce(before, 0) and total > kv_put.max_bytes then
        return false;
    end if;
    if kv_put.value is null then
        delete from skills.kv k
        where k.skill_id = kv_put.skill and k.bucket = kv_put.bucket and k.key = kv_put.key;
    else
        insert into skills.kv (skill_id, bucket, key, value)
        values (kv_put.skill, kv_put.bucket, kv_put.key, kv_put.value)
        on conflict on constraint kv_pkey do update set value = excluded.value;
    end if;
    update skills.kv_total t set bytes = total where t.skill_id = kv_put.skill;
    return true;
end
$$;

-- Adds to a number that is kept as text (wasi:keyvalue/atomics), one call after another. Answers the
-- new number; null where the value is none or the quota is too small.
create function skills.kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    current bytea;
    number bigint;
begin
    insert into skills.kv_total (skill_id) values (kv_increment.skill) on conflict do nothing;
    perform from skills.kv_total t where t.skill_id = kv_increment.skill for update;
    select k.value into current from skills.kv k
    where k.skill_id = kv_increment.skill and k.bucket = kv_increment.bucket and k.key = kv_increment.key;
    begin
        number := coalesce(convert_from(current, 'UTF8')::bigint, 0) + kv_increment.delta;
    exception when data_exception then
        return null;
    end;
    if not skills.kv_put(kv_increment.skill, kv_increment.bucket, kv_increment.key,
        convert_to(number::text, 'UTF8'), kv_increment.max_bytes) then
        return null;
    end if;
    return number;
end
$$;

-- Replaces a value that is still the one that was seen (wasi:keyvalue/atomics). Answers `done`, `changed`
-- or `full`.
create function skills.kv_swap(
    skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    current bytea;
begin
    insert into skills.kv_total (skill_id) values (kv_swap.skill) on conflict do nothing;
    perform from skills.kv_total t where t.skill_id = kv_swap.skill for update;
    select k.value into current from skills.kv k
    where k.skill_id = kv_swap.skill and k.bucket = kv_swap.bucket and k.key = kv_swap.key;
    if current is distinct from kv_swap.seen then
        return 'changed';
    end if;
    if not skills.kv_put(kv_swap.skill, kv_swap.bucket, kv_swap.key, kv_swap.value, kv_swap.max_bytes) then
        return 'full';
    end if;
    return 'done';
end
$$;

-- Keys that sign receipts and attestations. What they signed is kept for good, so they are, too.
create table identity.attestation_key (
    kid text primary key,
    public_key bytea not null,
    created_at timestamptz not null default now(),
    constraint attestation_key_size check (octet_length(public_key) = 32)
);

-- All keys that anything of ours verifies with: what /.well-known/jwks.json shows.
create view identity.published_key as
select kid, public_key, expires_at from identity.verification_key
union all
select kid, encode(public_key, 'base64'), null from identity.attestation_key;

-- The tools of what anybody may call: the newest approved version of each skill.
create view skills.callable_tool as
select s.id as skill_id, s.name as skill, s.rank, v.id as version_id, v.version, v.digest,
    t.value ->> 'name' as tool, t.value ->> 'description' as description,
    t.value -> 'input_schema' as input_schema, t.value -> 'output_schema' as output_schema,
    v.manifest ->> 'description' as skill_description
from skills.skill s
join skills.version v on v.id = s.latest_id
cross join lateral jsonb_array_elements(v.tools) t;

-- Names of accounts, for other schemas to show.
create view identity.account_name as
select id, name, kind, status, authenticated_at is not null as has_signed_in from identity.account;

-- See 0001_platform.sql on why like this.
do $$
declare
    role text;
begin
    foreach role in array array[
        'gather_skills', 'gather_mcp', 'gather_sandbox', 'gather_skill_review', 'gather_skill_rank'
    ] loop
        begin
            execute format('create role %I login nosuperuser nocreatedb nocreaterole noinherit', role);
            execute format('alter role %I set search_path = skills', role);
            execute format('alter role %I set timezone = ''UTC''', role);
            execute format('alter role %I set statement_timeout = ''25s''', role);
            execute format('alter role %I set idle_in_transaction_session_timeout = ''60s''', role);
        exception when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

grant usage on schema platform, skills, identity, jobs to gather_skills;
grant execute on function platform.uuid_v7() to gather_skills;
grant select, insert, update on skills.skill, skills.version, skills.rating to gather_skills;
grant delete on skills.rating to gather_skills;
grant select on skills.attestation, skills.version_view to gather_skills;
grant select (digest, size_bytes, created_at) on skills.component to gather_skills;
grant select, insert, update, delete on skills.idempotency_key to gather_skills;
grant execute on function skills.publish(uuid, jsonb), skills.is_review_lost(uuid), skills.choose_latest(uuid), skills.matching(text), skills.yank(uuid),
    skills.decide(uuid, text, jsonb, double precision, jsonb, uuid) to gather_skills;
grant execute on function jobs.enqueue(text, jsonb, uuid, text, timestamptz, text, integer) to gather_skills;
grant select on identity.verification_key, identity.revocation, identity.account_name to gather_skills;
insert into jobs.enqueuer (role, kind) values ('gather_skills', 'skill-review');

grant usage on schema skills, identity to gather_mcp;
grant select on skills.callable_tool to gather_mcp;
grant select on identity.verification_key, identity.revocation to gather_mcp;

-- The sandbox runs strangers' code, so it sees nothing of identity but who called.
grant usage on schema platform, skills, identity to gather_sandbox;
grant select, insert, update (created_at) on skills.component to gather_sandbox;
grant select on skills.kv to gather_sandbox;
grant execute on function skills.record_usage(jsonb), skills.kv_put(uuid, text, text, bytea, bigint),
    skills.kv_increment(uuid, text, text, bigint, bigint),
    skills.kv_swap(uuid, text, text, bytea, bytea, bigint), skills.sweep() to gather_sandbox;
grant select, insert on identity.attestation_key to gather_sandbox;
grant select, insert, update on platform.health to gather_sandbox;
grant execute on function platform.report_health(text, text, jsonb) to gather_sandbox;

grant usage on schema skills to gather_skill_review, gather_skill_rank;
grant execute on function skills.under_review(uuid),
    skills.decide(uuid, text, jsonb, double precision, jsonb, uuid) to gather_skill_review;
grant execute on function skills.rank_all() to gather_skill_rank;

grant select on identity.published_key to gather_identity;
