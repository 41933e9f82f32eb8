-- An account that is suspended takes its claws with it: they are stopped, and its owner starts them again. A claw that is
-- suspended itself is stopped as well.
create or replace function claws.owner_suspended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform claws.want(c.id, 'stopped', 'suspended', reason => 'suspended') from claws.claw c
    where new.id in (c.owner_id, c.id) and c.desired in ('running', 'paused');
    return null;
end
$$;
create or replace trigger account_claws_stop after update of status on identity.account
for each row when (new.status = 'suspended' and old.status = 'active')
execute function claws.owner_suspended();
