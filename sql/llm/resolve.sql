-- The targets of a model's name for an account, in the order in which they are tried, each once. A name with a slash is
-- `<provider>/<model>`; another one is an alias of the account's own, of one of its teams, or of the platform. With
-- `platform:` before it, only what the platform has counts, whatever the account has of that name. Aliases may come to lead to
-- more than `llm.misled` allows as others change; of those, only the first steps count.
create or replace function llm.resolve(account uuid, name text)
returns table (alias_id uuid, provider_id uuid, model text, max_output_tokens integer, silence_ms integer, total_ms integer,
    place integer)
language sql stable
as $$
    with recursive asked as (
        select regexp_replace(resolve.name, '^platform:', '') as name, resolve.name like 'platform:%' as is_platforms
    ), owners as materialized (
        select o.owner, o.rank from llm.owners_of(account) o, asked q where not q.is_platforms or o.owner = 'platform'
    ), found as (
        select a.id as alias_id, null::uuid as provider_id, null::text as model, null::integer as max_output,
            null::integer as silence, null::integer as total, '{}'::integer[] as path, array[a.id] as seen
        from (select a.id from asked q join llm.alias a on a.name = q.name join owners o on o.owner = a.owner
            order by o.rank, a.owner limit 1) a
        union all
        select n.id, t.provider_id, t.model, t.max_output_tokens, t.silence_ms, t.total_ms, f.path || t.rank || t.place::integer,
            f.seen || n.id
        from found f join llm.target t on t.alias_id = f.alias_id and f.provider_id is null
        left join lateral (select a.id from llm.alias a join owners o on o.owner = a.owner
            where a.name = t.alias order by o.rank, a.owner limit 1) n on true
        where (t.alias is null or n.id <> all (f.seen)) and cardinality(f.seen) <= 8
    ), walked as materialized (
        select f.* from found f limit 500
    ), direct as (
        select p.id, substr(q.name, strpos(q.name, '/') + 1) as model
        from asked q join llm.provider p on p.name = split_part(q.name, '/', 1) join owners o on o.owner = p.owner
        where strpos(q.name, '/') > 0
        order by o.rank, p.owner limit 1
    ), every as (
        select f.seen[1] as alias_id, f.provider_id, f.model, f.max_output, f.silence, f.total, f.path from walked f where f.provider_id is not null
        union all
        select null, d.id, d.model, null, null, null, '{}' from direct d where d.model <> ''
    ), once as (
        select distinct on (e.provider_id, e.model) e.* from every e
        join llm.provider p on p.id = e.provider_id join owners o on o.owner = p.owner
        order by e.provider_id, e.model, e.path
    )
    select o.alias_id, o.provider_id, o.model, o.max_output, o.silence, o.total, (row_number() over (order by o.path))::integer from once o
$$;
grant execute on function llm.resolve to gather_llm;
