-- Opens an approval, in the caller's statement, and returns its id.
--   subject     the subject, as a topic: `turn:<id>`
--   question    the question, in a sentence
--   detail      the facts that are needed to decide
--   digest      the digest of exactly what is approved
--   who         the accounts and teams that are asked
--   expires_at  the time after which it can't be decided
--   asked_by    the account that asks; neither it nor its agents can decide, unless `self` is true
--   need        the number of accounts that have to approve
--   form        the form to fill in, as a JSON Schema
--   facts       the same facts as an object, for programs; null: the text alone
-- Refuses by the constraints approval_who_known (one of `who` is neither an account nor a team), approval_need_met (so
-- many can't approve) and approval_not_late.
create or replace function inbox.ask(
    subject text,
    question text,
    detail text,
    digest text,
    who uuid[],
    expires_at timestamptz,
    asked_by uuid default null,
    need integer default 1,
    form jsonb default null,
    self boolean default false,
    facts jsonb default null
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    approval uuid;
    deciders uuid[];
begin
    if ask.expires_at <= clock_timestamp() then
        perform identity.refuse('approval_not_late');
    end if;
    insert into inbox.approval as a (subject, question, detail, facts, digest, need, form, expires_at, asked_by, self)
    values (ask.subject, ask.question, coalesce(ask.detail, ''), ask.facts, ask.digest, ask.need, ask.form,
        ask.expires_at, ask.asked_by, ask.self)
    returning a.id into approval;
    insert into inbox.asked (approval_id, who, is_team)
    select approval, a.id, false from identity.account a where a.id = any (ask.who) and a.status = 'active'
    union all
    select approval, t.id, true from identity.team t where t.id = any (ask.who);
    if exists (select unnest(ask.who) except select k.who from inbox.asked k where k.approval_id = approval) then
        perform identity.refuse('approval_who_known');
    end if;
    deciders := array(select d from inbox.deciders(approval) d
        where ask.self or inbox.acts_for(d, ask.asked_by) is not true);
    if cardinality(deciders) < ask.need then
        perform identity.refuse('approval_need_met');
    end if;
    perform inbox.notify(deciders, 'approval', ask.question, ask.detail, '/approvals/' || approval, ask.asked_by,
        'approval:' || approval);
    perform inbox.tell_approval(approval, 'approval.requested', ask.asked_by);
    return approval;
end
$$;
