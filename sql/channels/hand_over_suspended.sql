-- Gives the channels of a suspended account to another owner.
create or replace function channels.hand_over_suspended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform channels.hand_over(new.id);
    return null;
end
$$;
create or replace trigger account_suspended after update of status on identity.account
for each row when (new.status = 'suspended' and old.status <> 'suspended')
execute function channels.hand_over_suspended();
