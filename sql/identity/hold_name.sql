-- Keeps everybody from taking the name of an account for 30 days after it has let it go, so that nobody passes for it.
create or replace function identity.hold_name(account uuid) returns void
language plpgsql
as $$
#variable_conflict use_column
begin
    delete from identity.held_name h where h.name in (
        select o.name from identity.held_name o where o.until < now() order by o.until limit 100 for update skip locked);
    insert into identity.held_name (name, until)
    select a.name, now() + interval '30 days' from identity.account a where a.id = hold_name.account and a.status <> 'deleted'
    on conflict (name) do update set until = excluded.until;
end
$$;
