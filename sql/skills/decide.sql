-- Ends a review. `verdict`: approve, reject or hold. A null `by` is the review itself, which decides
-- only once; a person (`by`) decides about held versions. Returns whether it could be decided.
create or replace function skills.decide(
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
grant execute on function skills.decide to gather_skills, gather_skill_review;
