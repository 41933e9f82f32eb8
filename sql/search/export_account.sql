-- The newest 1,000 texts of an account that have no vectors yet.
create or replace function search.export_account(account uuid) returns jsonb
language sql stable
as $$
    select coalesce(jsonb_agg(jsonb_build_object('kind', w.kind, 'id', w.id) order by w.number), '[]') from (
        select o.kind, o.id, o.number from search.wanted o
        where o.author_id = account order by o.number desc limit 1000) w
$$;
