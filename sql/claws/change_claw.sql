-- Changes a claw of an account: see `claws.configure`. What its turns draw on changes with the next of them.
create or replace function claws.change_claw(account uuid, ref text, change jsonb, manages boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
begin
    -- A sign-in holds the account before the claw.
    perform from identity.account a where a.id = (select f.id from claws.find(account, ref, manages) f) for no key update;
    select x.* into c from claws.claw x
    where x.id = (select f.id from claws.find(account, ref, manages) f) for update;
    if c.id is null then
        return '{"refused": "claw-not-found"}';
    elsif c.desired = 'deleted' then
        return jsonb_build_object('refused', 'claw-state', 'claw_status', 'deleting', 'allowed', '["delete"]'::jsonb);
    end if;
    perform claws.configure(c.id, account, change);
    select x.* into c from claws.claw x where x.id = c.id;
    perform claws.tell(c, 'status');
    return jsonb_build_object('ok', claws.accepted(c));
end
$$;
grant execute on function claws.change_claw(uuid, text, jsonb, boolean) to gather_claws;
