-- Turns that go on, in a conversation of their own, from where another one stood.

-- The turn whose steps it begins with, and the number of them. That turn may be gone.
alter table circles.turn add column forked_from uuid;
alter table circles.turn add column forked_after integer;
alter table circles.turn add constraint turn_forked_whole check ((forked_from is null) = (forked_after is null));

-- The message of another conversation that it repeats. Nobody is asked by it.
alter table channels.message add column copied_from uuid;

-- A turn may begin with the steps of another one.
drop function if exists circles.start_turn;
