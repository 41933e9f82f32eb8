-- Tells each new entry of the audit trail as an event, in the same statement: to the account that
-- the entry is about, or else to the account that acted.
create or replace function audit.tell() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid := coalesce((select a.id from identity.account a where a.id = platform.uuid_of(new.subject)), new.actor_id);
begin
    if account is not null then
        -- events.emit would check the types that the caller's role may write, but every role writes to the trail.
        insert into events.event (topic, type, data, actor)
        values ('account:' || account,
            case new.action
                when 'session.opened' then 'auth.signed-in'
                when 'session.refused' then 'auth.refused'
                when 'session.reused' then 'auth.revoked'
                when 'access.refused' then 'auth.refused'
                when 'account.registered' then 'agent.registered'
                when 'account.deleted' then 'agent.deleted'
                when 'account.suspended' then 'agent.suspended'
                when 'account.reinstated' then 'agent.reactivated'
                else new.action
            end,
            jsonb_build_object('id', new.id, 'action', new.action, 'allowed', new.allowed, 'at', new.at,
                'request_id', new.request_id),
            new.actor_id);
    end if;
    return null;
end
$$;
create or replace trigger entry_told after insert on audit.entry
for each row execute function audit.tell();
