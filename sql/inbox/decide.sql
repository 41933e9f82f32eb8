-- Decides about an approval for an account. Who may, and whether it is too late, is judged here, under the lock of the
-- approval's row. Returns the result, {"outcome", "state"}, with the outcomes
--   done       the decision counts
--   missing    there is no such approval, or the account has no part in it
--   own        the account asked itself, or is an agent of the one that asked, and may not decide
--   forbidden  the account is not asked: it sees the approval as an administrator, or owns the agent that asked
--   decided    the approval has ended, or this account has decided already
--   expired    it is too late
--   changed    the subject of the approval has another digest
create or replace function inbox.decide(
    approval uuid, account uuid, is_admin boolean, decision text, digest text, reason text, form jsonb
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    target inbox.approval;
    outcome text;
    verdict text;
begin
    select a.* into target from inbox.approval a where a.id = decide.approval for update;
    outcome := case
        when target.id is null then 'missing'
        when target.asked_by = decide.account and not target.self then 'own'
        when decide.account not in (select inbox.deciders(target.id)) then
            case when target.asked_by = decide.account then 'own' when is_admin or exists (select from identity.agent g
                where g.account_id = target.asked_by and g.owner_id = decide.account) then 'forbidden' else 'missing' end
        when not target.self and inbox.acts_for(decide.account, target.asked_by) then 'own'
        when target.state = 'expired' then 'expired'
        when target.state <> 'pending' then 'decided'
        when target.expires_at <= clock_timestamp() then 'late'
        when exists (select from inbox.decision d
            where d.approval_id = target.id and d.account_id = decide.account) then 'decided'
        when target.digest <> decide.digest then 'changed'
        else 'done'
    end;
    if outcome = 'late' then
        perform inbox.finish(target.id, 'expired', null);
        return jsonb_build_object('outcome', 'expired', 'state', 'expired');
    elsif outcome <> 'done' then
        return jsonb_build_object('outcome', outcome, 'state', target.state);
    end if;
    insert into inbox.decision (approval_id, account_id, decision, reason, form)
    values (target.id, decide.account, decide.decision, decide.reason, decide.form);
    verdict := case
        when decide.decision = 'deny' then 'denied'
        when target.need <= (select count(*) from inbox.decision d where d.approval_id = target.id) then 'approved'
    end;
    if verdict is not null then
        perform inbox.finish(target.id, verdict, decide.account);
    end if;
    return jsonb_build_object('outcome', outcome, 'state', coalesce(verdict, target.state));
end
$$;
grant execute on function inbox.decide(uuid, uuid, boolean, text, text, text, jsonb) to gather_inbox;
