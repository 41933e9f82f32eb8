-- The sums of numbers by their names.
create or replace function pipelines.plus(a jsonb, b jsonb) returns jsonb
language sql immutable
as $$
    select coalesce(jsonb_object_agg(n.name, n.number), '{}') from (
        select e.key as name, sum(e.value::numeric) as number
        from (select * from jsonb_each_text(a) union all select * from jsonb_each_text(b)) e group by e.key) n
$$;
