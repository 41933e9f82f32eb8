-- Why an alias may not have these targets; null: it may. `{circle}`: the names on the way back to itself. `{wide}`: it would
-- lead to more than 100 targets, counted on each way, or through more than 8 aliases. An alias resolves to its owner's own, or
-- to those that the owner may use besides.
--   targets   the names of aliases, and a null for each model
create or replace function llm.misled(owner text, name text, targets text[]) returns jsonb
language sql stable
as $$
    with recursive owners as materialized (
        select o.owner, o.rank from llm.owners_of(platform.uuid_of(substr(misled.owner, 9))) o where misled.owner like 'account:%'
        union select misled.owner, 0
        union select 'platform', 3
    ), walk as (
        select t.alias collate "C" as name, array[misled.name, t.alias] collate "C" as path from unnest(targets) t (alias)
        union all
        select t.alias, w.path || t.alias
        from walk w
        cross join lateral (select a.id from llm.alias a join owners o on o.owner = a.owner
            where a.name = w.name order by o.rank, a.owner limit 1) n
        join llm.target t on t.alias_id = n.id
        where w.name <> misled.name and cardinality(w.path) < 10 and (t.alias is null or t.alias <> all (w.path[2:]))
    ), walked as materialized (
        -- Ways multiply from alias to alias, so no more of them are gone than are needed here.
        select w.name, w.path from walk w limit 101
    )
    select case
        when c.path is not null then jsonb_build_object('circle', c.path)
        when n.count > 100 or n.length > 9 then '{"wide": true}' end
    from (select count(*) as count, max(cardinality(w.path)) as length from walked w) n
    left join (select w.path from walked w where w.name = misled.name order by cardinality(w.path) limit 1) c on true
$$;
