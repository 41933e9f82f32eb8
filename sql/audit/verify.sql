-- The faults of the chains; no rows if there are none.
create or replace function audit.verify() returns table (chain smallint, "position" bigint, problem text)
language sql stable
as $$
    with linked as (
        select e as entry, e.chain, e.position, e.hash,
            lag(e.hash, 1, decode(repeat('00', 32), 'hex')) over w as previous,
            row_number() over w as expected
        from audit.entry e
        window w as (partition by e.chain order by e.position)
    )
    select l.chain, l.position, case
            when l.position <> l.expected then 'an entry before this one is missing, or was added'
            else 'this entry, or the one before it, was changed'
        end
    from linked l
    where l.position <> l.expected or l.hash <> audit.digest(l.previous, l.entry)
    union all
    select n.id::smallint, coalesce(c.length, 0), 'the last entries are missing, or were changed'
    from generate_series(0, 15) as n (id)
    left join audit.chain c on c.id = n.id
    left join lateral (
        select e.position, e.hash from audit.entry e where e.chain = n.id order by e.position desc limit 1
    ) last on true
    where c.id is null or c.length <> coalesce(last.position, 0)
    or (last.hash is not null and last.hash <> c.hash)
    order by 1, 2
$$;
