-- Forgets what identity knows of an account that leaves. What was failed at its address, and mailed there, stays for
-- those who have the address too. Addresses are compared as they are: one may contain what `like` takes for any text.
create or replace function identity.forget_account(account uuid) returns void
language plpgsql
as $$
declare
    left_team uuid;
    address text;
begin
    -- Null if others have the address too.
    select p.email into address from identity.person p where p.account_id = account and not exists (
        select from identity.person o where o.email = p.email and o.account_id <> p.account_id);
    delete from identity.link l where l.account_id = account or l.email = address;
    perform from identity.sign_in_failure f
    where f.key = 'email:' || address or starts_with(f.key, 'both:' || address || ' ')
    order by f.key for update;
    delete from identity.sign_in_failure f
    where f.key = 'email:' || address or starts_with(f.key, 'both:' || address || ' ');
    delete from identity.idempotency_key k where k.owner = account::text;
    delete from people.idempotency_key k where k.owner = account::text;
    delete from accounts.idempotency_key k where k.owner = account::text;
    update identity.account a set name = 'deleted-' || replace(a.id::text, '-', ''), status = 'deleted',
        generation = a.generation + 1, changed_at = clock_timestamp()
    where a.id = account;
    delete from identity.account_role g where g.account_id = account;
    perform identity.end_sessions(account);
    update identity.session s set address = null, user_agent = null where s.account_id = account;
    perform identity.end_keys(account);
    update identity.api_key k set name = 'deleted' where k.account_id = account;
    delete from identity.person p where p.account_id = account;
    delete from identity.recovery_code r where r.account_id = account;
    delete from identity.external_identity e where e.account_id = account;
    delete from identity.claim c where account in (c.agent_id, c.owner_id);
    update identity.agent g set owner_id = null where g.owner_id = account;
    -- The key of an account that left is free again.
    insert into identity.former_key (public_key, account_id, created_at)
    select g.public_key, g.account_id, g.key_since from identity.agent g
    where g.account_id = account and g.public_key is not null;
    delete from identity.agent g where g.account_id = account;
    for left_team in
        delete from identity.team_member m where m.account_id = account returning m.team_id
    loop
        -- The eldest member inherits a team without an owner; one without members goes too.
        update identity.team_member m set role = 'owner'
        where m.team_id = left_team
        and not exists (select from identity.team_member o where o.team_id = left_team and o.role = 'owner')
        and m.account_id = (select e.account_id from identity.team_member e where e.team_id = left_team
            order by e.added_at, e.account_id limit 1);
        delete from identity.team t where t.id = left_team
        and not exists (select from identity.team_member m where m.team_id = left_team);
    end loop;
end
$$;
