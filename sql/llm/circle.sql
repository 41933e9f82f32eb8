-- The names on the way from an alias back to itself, if it had these targets; null: there is no such way. An alias resolves
-- to its owner's own, or to those that the owner may use besides.
create or replace function llm.circle(owner text, name text, targets text[]) returns text[]
language sql stable
as $$
    with recursive owners as materialized (
        select o.owner, o.rank from llm.owners_of(platform.uuid_of(substr(circle.owner, 9))) o where circle.owner like 'account:%'
        union select circle.owner, 0
        union select 'platform', 2
    ), walk as (
        select t.alias collate "C" as name, array[circle.name, t.alias] collate "C" as path from unnest(targets) t (alias)
        union all
        select t.alias, w.path || t.alias
        from walk w
        cross join lateral (select a.id from llm.alias a join owners o on o.owner = a.owner
            where a.name = w.name order by o.rank, a.owner limit 1) n
        join llm.target t on t.alias_id = n.id and t.alias is not null
        where w.name <> circle.name and cardinality(w.path) < 20 and t.alias <> all (w.path[2:])
    )
    select w.path from walk w where w.name = circle.name order by cardinality(w.path) limit 1
$$;
