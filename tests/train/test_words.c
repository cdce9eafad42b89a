/* Labels from names: a hundred names as packs have them, with the class that a producer would say. */
#include "support/support.h"

#include <string.h>

#include "models/model.h"
#include "train/words.h"

static const struct {
    const char *path, *label; /* "": says nothing */
} rows[] = {
    { "Kicks/Kick 01.wav", "kick" },
    { "BD0025.WAV", "kick" },
    { "TR-808/BD/BD5050.WAV", "kick" },
    { "Drums/808 Kick Long C.wav", "kick" },
    { "Bass Drum 22 soft.wav", "kick" },
    { "KSHMR_Kick_Hard_07.wav", "kick" },
    { "hardkick_distorted.wav", "kick" },
    { "Vinyl Kicks/VK_03.wav", "kick" },
    { "BassDrum1.aif", "kick" },
    { "kdrum_ludwig_2.flac", "kick" },
    { "909 Kick.wav", "kick" },
    { "808s/808 dist F.wav", "kick" },
    { "Snare 12.wav", "snare" },
    { "SD_Tight_03.wav", "snare" },
    { "Snares/Layered/Big Boi.wav", "snare" },
    { "SnareTop-hard.wav", "snare" },
    { "Acoustic Snare Rimshot 3.wav", "snare" },
    { "snr_crispy.wav", "snare" },
    { "808 Snare.wav", "snare" },
    { "Rim 04.wav", "rim" },
    { "SideStick_mf.wav", "rim" },
    { "Cross Stick 2.wav", "rim" },
    { "Rimshot 909.wav", "rim" },
    { "Snares/Rim 2.wav", "rim" },
    { "Clap Reverb 1.wav", "clap" },
    { "HandClap.wav", "clap" },
    { "Claps & Snaps/Finger Snap 5.wav", "clap" },
    { "CP02.wav", "clap" },
    { "TrapSnap.wav", "clap" },
    { "Closed Hat 3.wav", "hihat-closed" },
    { "HHClosed1-Hard.wav", "hihat-closed" },
    { "hihat-closed_02.wav", "hihat-closed" },
    { "Hats/CH.wav", "hihat-closed" },
    { "Hi-Hat 7.wav", "hihat-closed" },
    { "Pedal Hat soft.wav", "hihat-closed" },
    { "Open Hat 01.wav", "hihat-open" },
    { "OpenHH_Loose.wav", "hihat-open" },
    { "hat_open_long.wav", "hihat-open" },
    { "Hats/Open/Vintage 3.wav", "hihat-open" },
    { "HiHat Semi-Open 2.wav", "hihat-open" },
    { "TR808/OH/OH25.WAV", "hihat-open" },
    { "Crash 16 Zildjian.wav", "cymbal" },
    { "Ride Bell.wav", "cymbal" },
    { "China_18_edge.wav", "cymbal" },
    { "Splash.wav", "cymbal" },
    { "Big Gong.wav", "cymbal" },
    { "Reverse Cymbal 2.wav", "cymbal" },
    { "Floor Tom Hard.wav", "tom" },
    { "LowTom_909.wav", "tom" },
    { "Toms/HT 3.wav", "tom" },
    { "RackTom2.wav", "tom" },
    { "Conga High Slap.wav", "hand-drum" },
    { "Bongos/Bongo Lo 1.wav", "hand-drum" },
    { "tabla_na.flac", "hand-drum" },
    { "Djembe bass tone.wav", "hand-drum" },
    { "Taiko Ensemble Hit.wav", "hand-drum" },
    { "Shaker 16ths one.wav", "shaker" },
    { "Tambourine shake 2.wav", "shaker" },
    { "Maracas.wav", "shaker" },
    { "Sleigh Bells.wav", "shaker" },
    { "Cowbell 808.wav", "perc" },
    { "Perc/Wood Block Hi.wav", "perc" },
    { "Triangle Perc.wav", "perc" },
    { "Guiro long.wav", "perc" },
    { "Percs/Tribal Thing 4.wav", "perc" },
    { "Reese Bass C1.wav", "bass" },
    { "Sub Bass F#.wav", "bass" },
    { "BassGuitar_finger_E1.wav", "bass" },
    { "Bass House/Bass Shots/Wub 3.wav", "bass" },
    { "Acid Bass 303 A.wav", "bass" },
    { "Nylon Guitar E3.wav", "guitar" },
    { "Gtr Chord Am.wav", "guitar" },
    { "Muted_Guitar_04.wav", "guitar" },
    { "Grand Piano C4 ff.wav", "keys" },
    { "Rhodes_Stage73_A2.wav", "keys" },
    { "Wurli Chord Dm7.wav", "keys" },
    { "Deep House/Piano House Chords/Piano Chord 3.wav", "keys" },
    { "Hammond B3 C3.wav", "organ" },
    { "ChurchOrgan_G2.wav", "organ" },
    { "Accordion sustain.wav", "organ" },
    { "Vibraphone C5.wav", "mallet-bell" },
    { "Kalimba A4.wav", "mallet-bell" },
    { "Bell Pluck 2.wav", "mallet-bell" },
    { "Glockenspiel_hit.wav", "mallet-bell" },
    { "Synth Pluck Am.wav", "pluck" },
    { "Harp gliss up.wav", "pluck" },
    { "Violin pizzicato D4.wav", "pluck" },
    { "Guitar Pluck E.wav", "guitar" },
    { "Violin B3 legato.wav", "strings" },
    { "Cello_arco_C2.wav", "strings" },
    { "String Ensemble F.wav", "strings" },
    { "Trumpet stab.wav", "brass" },
    { "French Horn Eb3.wav", "brass" },
    { "Brass Section Fall.wav", "brass" },
    { "Alto Sax G4.wav", "woodwind" },
    { "Flute trill.wav", "woodwind" },
    { "Bass Clarinet D2.wav", "woodwind" },
    { "Warm Pad Cm.wav", "pad" },
    { "Synth Strings Pad.wav", "pad" },
    { "Supersaw Lead F.wav", "synth-lead" },
    { "Lead_Square_C3.wav", "synth-lead" },
    { "Rave Stab 2.wav", "synth-lead" },
    { "Vocal Chop 12.wav", "vocal" },
    { "Female Vox Aah C4.wav", "vocal" },
    { "Choir Ooh.wav", "vocal" },
    { "Laser Zap 3.wav", "fx" },
    { "Riser 8bar.wav", "fx" },
    { "FX/Impacts/Boom 2.wav", "fx" },
    { "White Noise Sweep Up.wav", "fx" },
    { "Foley/Keys Drop.wav", "foley" },
    { "Door Slam.wav", "foley" },
    { "Water drop 2.wav", "foley" },
    { "001.wav", "" },
    { "Untitled/Audio 3-1.wav", "" },
    { "Deep House Essentials Vol 2/xx_14.wav", "" },
    { "C#.wav", "" },
    { "My Drum Kit/one shot 07.wav", "" },
};

static void names_of_packs_give_the_class_a_producer_would_say(void **state)
{
    sm_words *w = NULL;
    int wrong = 0;
    (void)state;
    test_ok(sm_words_new(&w));
    for (size_t i = 0; i < SM_LENGTH(rows); i++) {
        sm_word_label found;
        sm_words_label(w, rows[i].path, &found);
        const char *label = found.label ? found.label : "";
        if (strcmp(label, rows[i].label) != 0) {
            print_message("%s: \"%s\" (%.2f); expected \"%s\"\n", rows[i].path, label, found.confidence, rows[i].label);
            wrong++;
        }
        assert_true(found.label ? found.confidence > 0 && found.confidence < 1 : found.confidence == 0);
    }
    assert_true(SM_LENGTH(rows) >= 100);
    assert_int_equal(wrong, 0);
    sm_words_free(w);
}

static double confidence_of(const sm_words *w, const char *path, const char *label)
{
    sm_word_label found;
    sm_words_label(w, path, &found);
    assert_non_null(found.label);
    assert_string_equal(found.label, label);
    return found.confidence;
}

static void agreement_is_surer_and_contradiction_less_sure(void **state)
{
    sm_words *w = NULL;
    (void)state;
    test_ok(sm_words_new(&w));
    const double alone = confidence_of(w, "x/Snare 1.wav", "snare");
    assert_true(confidence_of(w, "Snares/Snare 1.wav", "snare") > alone);
    assert_true(confidence_of(w, "Kicks/Snare 1.wav", "snare") < 0.7);
    assert_true(confidence_of(w, "Snares/01.wav", "snare") < alone);
    /* a folder further up counts less */
    assert_true(confidence_of(w, "Snares/a/b/01.wav", "snare") < confidence_of(w, "Snares/01.wav", "snare"));
    /* a hint of the name yields to the folder */
    assert_true(confidence_of(w, "Toms/boom.wav", "tom") > 0.7);
    /* two classes in one name: the last, and doubtful */
    assert_true(confidence_of(w, "Piano Flute.wav", "woodwind") < 0.7);
    sm_words_free(w);
}

static void every_word_is_of_a_class_that_there_is(void **state)
{
    (void)state;
    static const char *const labels[] = {
#define SM_WORDS(label, strength, words) label,
#include "train/words.def"
#undef SM_WORDS
    };
    for (size_t i = 0; i < SM_LENGTH(labels); i++) {
        bool known = !*labels[i];
        for (size_t c = 0; c < SM_INSTRUMENTS; c++)
            known = known || !strcmp(sm_instruments[c], labels[i]);
        if (!known)
            fail_msg("words.def: there is no class \"%s\"", labels[i]);
    }
}

static void strange_names_do_no_harm(void **state)
{
    static const char *const names[] = { "",
                                         "/",
                                         "//",
                                         ".wav",
                                         "...",
                                         "a/",
                                         "/a",
                                         "\xff\xfe\x80.wav",
                                         "-_-_-",
                                         "9999999999999",
                                         "kickkickkickkickkickkickkickkickkickkickkickkickkickkickkickkick.wav" };
    char many[2000];
    sm_words *w = NULL;
    sm_word_label found;
    (void)state;
    test_ok(sm_words_new(&w));
    for (size_t i = 0; i < SM_LENGTH(names); i++)
        sm_words_label(w, names[i], &found);
    for (size_t i = 0; i + 1 < sizeof many; i++)
        many[i] = "ab 1C/"[i % 6];
    many[sizeof many - 1] = 0;
    sm_words_label(w, many, &found);
    sm_words_free(w);
}

static int make_words(void *user)
{
    sm_words *w = NULL;
    (void)user;
    const int err = sm_words_new(&w);
    sm_words_free(w);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_every_allocation_may_fail(make_words, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_packs_give_the_class_a_producer_would_say),
        cmocka_unit_test(agreement_is_surer_and_contradiction_less_sure),
        cmocka_unit_test(every_word_is_of_a_class_that_there_is),
        cmocka_unit_test(strange_names_do_no_harm),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
