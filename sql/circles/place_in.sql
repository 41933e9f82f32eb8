-- The place of a message's number among those of the messages that were copied: how many of them are not after it.
create or replace function circles.place_in(seqs bigint[], seq bigint) returns bigint
language sql immutable
as $$
    select case when place_in.seq is not null then (select count(*) from unnest(seqs) s where s <= place_in.seq) end
$$;
