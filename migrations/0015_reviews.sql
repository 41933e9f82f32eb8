-- Reviews: fair among accounts, no weapon against the origins that skills name, and no name taken by what was rejected.

-- How many jobs of a kind an account waits for, of those that were asked for with a key.
create function jobs.waiting(kind text, owner uuid) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select count(*)::integer from jobs.job j
    where j.kind = waiting.kind and j.owner_id = waiting.owner and j.key is not null and j.finished_at is null
$$;
grant execute on function jobs.waiting(text, uuid) to gather_skills;

-- The examples of a version whose calls may have reached an origin, by their place in the manifest. A review makes each
-- of them once, however often it is tried: what the call answered is kept for the next attempt.
create table skills.sent_example (
    version_id uuid not null references skills.version (id),
    number integer not null,
    -- Null: it is under way, or nobody will ever know.
    outcome jsonb,
    begun_at timestamptz not null default now(),
    primary key (version_id, number),
    constraint sent_example_number check (number >= 0)
);

-- Lets a review make an example that may reach an origin. `is_first`: nobody has made it, and it is to be made now.
-- Else `outcome` is what it answered then; null where that was lost.
create function skills.begin_example(version uuid, number integer, out is_first boolean, out outcome jsonb)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into skills.sent_example (version_id, number) values (begin_example.version, begin_example.number)
    on conflict on constraint sent_example_pkey do nothing;
    is_first := found;
    outcome := (select s.outcome from skills.sent_example s
        where s.version_id = begin_example.version and s.number = begin_example.number);
end
$$;

-- Keeps what an example answered. Null: it was not made after all, because the sandbox had no room for it.
create function skills.end_example(version uuid, number integer, outcome jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from skills.sent_example s
    where s.version_id = end_example.version and s.number = end_example.number and end_example.outcome is null;
    update skills.sent_example s set outcome = end_example.outcome
    where s.version_id = end_example.version and s.number = end_example.number;
$$;
grant execute on function skills.begin_example(uuid, integer), skills.end_example(uuid, integer, jsonb)
    to gather_skill_review;

-- Forgets a skill of which every version was rejected: its name belongs to nobody. Answers whether it was one. The
-- caller holds the skill's row, so that no version comes meanwhile; what was rejected stays so.
create function skills.forget_rejected(skill uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    versions uuid[];
begin
    if exists (select from skills.version v where v.skill_id = forget_rejected.skill and v.status <> 'rejected') then
        return false;
    end if;
    versions := array(select v.id from skills.version v where v.skill_id = forget_rejected.skill);
    delete from skills.attestation a where a.version_id = any (versions);
    delete from skills.sent_example e where e.version_id = any (versions);
    delete from skills.version v where v.id = any (versions);
    delete from skills.skill s where s.id = forget_rejected.skill;
    return true;
end
$$;
grant execute on function skills.forget_rejected(uuid) to gather_skills;

-- Publishes a version and asks for its review. Refuses by the constraints skill_owner (the name is
-- somebody else's) and version_key (that version exists). A skill of which every version was rejected is in nobody's
-- way: not in that of another publisher, nor of the same version again. A version that is still under review, though
-- its job was cancelled or is dead, is reviewed again when the same is published again.
--   published  what the sandbox made of the upload: manifest, precedence, digest, tools, facts
create or replace function skills.publish(account uuid, published jsonb) returns jsonb
language plpgsql
as $$
declare
    skill skills.skill;
    version skills.version;
    manifest jsonb := published -> 'manifest';
begin
    loop
        insert into skills.skill (name, owner_id) values (manifest ->> 'name', account)
        on conflict on constraint skill_name_key do nothing;
        select * into skill from skills.skill s where s.name = manifest ->> 'name' for update;
        -- Who forgot it at this moment has it now, unless that came to nothing.
        continue when not found;
        exit when skill.owner_id = account
            and not exists (select from skills.version v
                where v.skill_id = skill.id and v.version = publish.published #>> '{manifest,version}' and v.status = 'rejected');
        exit when not skills.forget_rejected(skill.id);
    end loop;
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
    -- Reviews take turns by account: one goes after as many of everybody else's as its author has waiting before it.
    update skills.version v
    set job_id = jobs.enqueue('skill-review', jsonb_build_object('version_id', version.id), account,
        version.id::text, priority => least(jobs.waiting('skill-review', account), 1000))
    where v.id = version.id returning * into version;
    return jsonb_build_object('skill_id', skill.id, 'version_id', version.id, 'job_id', version.job_id,
        'created_at', version.created_at);
end
$$;

-- What was mailed to whom within a day, by the SHA-256 of the address. It outlives the accounts that claimed the address:
-- registering with it and leaving again sends no more than staying.
create table identity.mailed (
    recipient bytea not null,
    at timestamptz not null default now()
);
create index mailed_recipient on identity.mailed (recipient, at);
create index mailed_at on identity.mailed (at);

-- An address that nobody has proved may be a stranger's: it gets twenty mails a day, whatever is asked for by whomever.
create function identity.bound_mail() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    person identity.person := (select p from identity.person p where p.account_id = new.account_id);
    hash bytea := sha256(convert_to(person.email, 'UTF8'));
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mailed ' || person.email, 1));
    delete from identity.mailed m where m.at < now() - interval '1 day';
    if (select count(*) from identity.mailed m where m.recipient = hash) >= 20
        and not exists (select from identity.person p where p.email = person.email and p.verified_at is not null) then
        return null;
    end if;
    insert into identity.mailed (recipient) values (hash);
    return new;
end
$$;
create trigger link_mailed before insert on identity.link
for each row when (new.account_id is not null) execute function identity.bound_mail();
