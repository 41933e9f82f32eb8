-- Suspends an account, or lets it come back. An owner may do so with an agent, and can't lift what somebody else has
-- imposed. No row if the account does not exist, or the actor may not decide about it.
create or replace function identity.set_status(account uuid, status text, reason text, actor uuid, is_admin boolean,
    address text, request_id text)
returns setof identity.account_view
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.lock_admins();
    update identity.account a
    set status = set_status.status, generation = a.generation + 1, changed_at = clock_timestamp(),
        suspended_by = case when set_status.status = 'suspended' then actor end
    where a.id = account and a.status <> 'deleted'
    and (a.status <> set_status.status
        -- The owner can't lift a suspension by an admin, even if it was the owner's before.
        or (is_admin and set_status.status = 'suspended' and a.suspended_by is distinct from actor))
    and (is_admin or (
        exists (select from identity.agent g where g.account_id = a.id and g.owner_id = actor)
        and (a.status <> 'suspended' or a.suspended_by = actor)));
    if not found then
        -- The account already has this status, or the actor may not decide about it.
        return query select v.* from identity.account_view v
        where v.id = account and v.status = set_status.status
        and (is_admin or exists (select from identity.agent g where g.account_id = v.id and g.owner_id = actor));
        return;
    end if;
    if set_status.status = 'suspended' then
        perform identity.end_sessions(account);
        if 'admin' = any(identity.roles_of(account)) then
            perform identity.keep_an_admin();
        end if;
    end if;
    perform audit.record(actor, 'account.' || case set_status.status when 'active' then 'reinstated' else 'suspended' end,
        account::text, true, set_status.address, set_status.request_id,
        case when reason is null then '{}' else jsonb_build_object('reason', reason) end);
    return query select v.* from identity.account_view v where v.id = account;
end
$$;
grant execute on function identity.set_status to gather_accounts;
