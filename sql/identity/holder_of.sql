-- Whose address it is: the account that has proved it, else the one that claimed it first. Null: nobody's.
create or replace function identity.holder_of(email text) returns uuid
language sql stable
as $$
    select a.id from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
    where p.email = holder_of.email order by p.verified_at is null, a.id limit 1
$$;
